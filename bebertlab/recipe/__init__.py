"""Recipes: a graph of stages as a value, planned without effects, executed from the store."""
