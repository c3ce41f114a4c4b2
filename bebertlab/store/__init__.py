"""The store: what stages left, found by what it was made of."""
