"""Texts to classify, read as a stream from lines, CSV, TSV, JSON lines and parquet."""
