"""A family of rows a file: their targets, and the generator that measures those that are wanted."""
