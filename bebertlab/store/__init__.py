"""The store: artifacts of stages, addressed by a hash of everything that they were built from."""
