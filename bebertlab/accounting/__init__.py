"""The cost of a model: bits, bytes and operations, and the published figures of papers."""
