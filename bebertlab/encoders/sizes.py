"""The sizes of an encoder by name, without its weights."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from bebertlab.accounting.published import PUBLISHED, published_architecture
from bebertlab.encoders.tiny import TinyEncoder
from bebertlab.errors import UserError
from bebertlab.files import read_json
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.stage import Codec
from bebertlab.model.folder import CONFIGURATION, SURGERY, describe_model
from bebertlab.model.huggingface import architecture_of


def encoder_sizes(name: str, codec: Codec, *, classes: int, vocabulary: int | None = None) -> Architecture:
    """The sizes of a published encoder, of a model in a folder, or of `tiny` with its defaults.

    `vocabulary` replaces the rows of the word embedding; `tiny`, whose vocabulary comes from texts, has as many as it
    takes words if it is not given.

    Raises:
        SetupError: the folder has no configuration.
        UserError: there is no such encoder.
    """
    sizes = _sizes(name, codec, classes)
    return sizes if vocabulary is None else evolve(sizes, vocabulary=vocabulary)


def _sizes(name: str, codec: Codec, classes: int) -> Architecture:
    tiny = TinyEncoder()
    if name == tiny.kind:
        return tiny.architecture(tiny.words, classes)
    folder = Path(name).expanduser()
    if (folder / SURGERY).is_file():
        return evolve(describe_model(folder, codec)[0], classes=classes)
    if folder.is_dir():
        return architecture_of(read_json(folder / CONFIGURATION), classes)
    try:
        return published_architecture(name, classes)
    except UserError:
        known = ", ".join([tiny.kind, *PUBLISHED])
        raise UserError(f"encoder '{name}': no folder, and not known by name (known: {known})") from None
