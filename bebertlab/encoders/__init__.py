"""Encoders and the importer that come with bebertlab: where weights and vocabulary come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bebertlab.registry.hookspecs import hookimpl

if TYPE_CHECKING:
    from bebertlab.interfaces.encoder import EncoderOptions
    from bebertlab.interfaces.importer import ImporterOptions


@hookimpl
def bebertlab_encoders() -> list[type[EncoderOptions]]:
    """`tiny` and `pretrained`."""
    from bebertlab.encoders.pretrained import PretrainedEncoder
    from bebertlab.encoders.tiny import TinyEncoder

    return [TinyEncoder, PretrainedEncoder]


@hookimpl
def bebertlab_importers() -> list[type[ImporterOptions]]:
    """`huggingface`."""
    from bebertlab.encoders.huggingface import HuggingFaceImporter

    return [HuggingFaceImporter]
