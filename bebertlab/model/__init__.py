"""BERT with Hugging Face's parameter names: modules, quantized layers, and reading and writing model folders.

Not the classes of transformers: losses need the attention scores before the softmax, the attention width must not be
derived from the hidden size, and nothing may be registered globally.
"""
