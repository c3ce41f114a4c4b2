"""Recipes: a graph of stages as a value, planned without effects, executed with a store."""
