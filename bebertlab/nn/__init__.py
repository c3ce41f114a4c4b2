"""The model: an own lean BERT with Hugging Face's parameter names, and what changes or stores one.

Own, not changed in place: losses need the attention scores before the softmax, the attention width must not be
derived from the hidden size, and nothing may be registered globally.
"""
