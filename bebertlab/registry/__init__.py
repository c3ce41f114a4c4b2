"""Hooks, the registry of kinds, and finding and loading plugins."""
