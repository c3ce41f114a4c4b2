"""Benchmarks of training speed and memory, as ratios of interleaved runs."""
