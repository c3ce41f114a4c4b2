"""What stages leave in the store and read from it: models with their tokenizers, logits, metrics and sizes.

Also for the stages of plugins, which get it from `bebertlab.api`.
"""
