"""Packed models: weights as bit planes in a file that any program can read, and the models that compute from it."""
