"""bebertlab: plugin-based quantization and ensemble research on BERT."""

__version__ = "0.1.0"
