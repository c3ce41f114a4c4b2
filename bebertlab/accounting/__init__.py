"""What a model costs: bits, bytes, operations, and the figures that papers publish."""
