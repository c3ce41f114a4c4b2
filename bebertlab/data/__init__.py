"""Tokenizers, examples and their token cache, batches, the select split and metrics."""
