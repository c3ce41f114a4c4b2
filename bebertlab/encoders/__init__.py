"""Encoders that come with bebertlab: where weights and vocabulary come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bebertlab.hookspecs import hookimpl

if TYPE_CHECKING:
    from bebertlab.interfaces.encoder import EncoderOptions


@hookimpl
def bebertlab_encoders() -> list[type[EncoderOptions]]:
    """`tiny` and `pretrained`."""
    from bebertlab.encoders.pretrained import PretrainedEncoder
    from bebertlab.encoders.tiny import TinyEncoder

    return [TinyEncoder, PretrainedEncoder]
