"""Observers that write down or show what a study does."""
