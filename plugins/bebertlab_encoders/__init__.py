"""Sources of weights: a tiny BERT with random weights, pretrained BERTs, and classifiers of Hugging Face."""

from __future__ import annotations

from bebertlab.api import EncoderOptions, ImporterOptions, hookimpl
from bebertlab_encoders.huggingface import HuggingFaceImporter
from bebertlab_encoders.pretrained import PretrainedEncoder
from bebertlab_encoders.tiny import TinyEncoder


@hookimpl
def bebertlab_encoders() -> list[type[EncoderOptions]]:
    """`tiny` and `pretrained`."""
    return [TinyEncoder, PretrainedEncoder]


@hookimpl
def bebertlab_importers() -> list[type[ImporterOptions]]:
    """`huggingface`."""
    return [HuggingFaceImporter]
