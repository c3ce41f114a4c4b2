"""Hooks, the registry of kinds, and how plugins are found and loaded."""
