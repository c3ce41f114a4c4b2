"""Observers that show or record the progress of a study."""
