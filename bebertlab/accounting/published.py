"""The sizes of encoders without their weights: published BERTs, folders, and encoders of plugins."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from attrs import evolve

from bebertlab.errors import UserError, unknown
from bebertlab.files import read_json
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.stage import Codec
from bebertlab.interfaces.task import Task
from bebertlab.model.folder import CONFIGURATION, DESCRIPTION, describe_model
from bebertlab.model.huggingface import architecture_of

_POSITIONS = 512
_HEAD_SIZE = 64
_UNCASED, _CASED = 30522, 28996
#: name to rows of the word embedding, layers, hidden size; all have heads of 64 and a feed-forward width of 4 * hidden
_SIZES = {
    "bert-tiny": (_UNCASED, 2, 128),
    "bert-mini": (_UNCASED, 4, 256),
    "bert-small": (_UNCASED, 4, 512),
    "bert-medium": (_UNCASED, 8, 512),
    "bert-base-uncased": (_UNCASED, 12, 768),
    "bert-base-cased": (_CASED, 12, 768),
    "bert-base-multilingual-uncased": (105879, 12, 768),
    "bert-base-multilingual-cased": (119547, 12, 768),
    "bert-base-chinese": (21128, 12, 768),
    "bert-large-uncased": (_UNCASED, 24, 1024),
    "bert-large-cased": (_CASED, 24, 1024),
    "bert-large-uncased-whole-word-masking": (_UNCASED, 24, 1024),
    "bert-large-cased-whole-word-masking": (_CASED, 24, 1024),
}
#: the 24 small models of arXiv:1908.08962, of which four also have a name
_MINIATURE = re.compile(r"bert_uncased_L-(\d+)_H-(\d+)_A-(\d+)")

PUBLISHED = tuple(_SIZES)


def encoder_sizes(
    name: str, kinds: Collection[str], codec: Codec, *, classes: int, vocabulary: int | None = None
) -> Architecture:
    """The sizes of an encoder by its kind (one of `kinds`, with its defaults), its folder or its published name.

    `vocabulary` replaces the rows of the word embedding.

    Raises:
        SetupError: the folder has no configuration.
        UserError: there is no such encoder, or it does not know its sizes before it runs.
    """
    sizes = _planned_sizes(name, codec, classes) if name in kinds else _known_sizes(name, kinds, codec, classes)
    return sizes if vocabulary is None else evolve(sizes, vocabulary=vocabulary)


def _planned_sizes(kind: str, codec: Codec, classes: int) -> Architecture:
    names = tuple(map(str, range(classes))) if classes > 1 else ()
    task = Task(name="", classes=names, splits={}, metrics=(), score="")
    sizes = codec.load({"kind": kind}, EncoderOptions).plan(task)  # type: ignore[type-abstract]
    if sizes is None:
        raise UserError(f"encoder '{kind}' does not know its sizes before it runs; name a folder or a published BERT")
    return sizes


def _known_sizes(name: str, kinds: Collection[str], codec: Codec, classes: int) -> Architecture:
    folder = Path(name).expanduser()
    if (folder / DESCRIPTION).is_file():
        return evolve(describe_model(folder, codec)[0], classes=classes)
    if folder.is_dir():
        return architecture_of(read_json(folder / CONFIGURATION), classes)
    try:
        return published_architecture(name, classes)
    except UserError:
        known = ", ".join([*sorted(kinds), *PUBLISHED])
        raise UserError(f"encoder '{name}': not a folder, and not known by name (known: {known})") from None


def published_architecture(name: str, classes: int) -> Architecture:
    """The sizes of a published BERT by its name on the Hugging Face hub, with or without its owner.

    >>> published_architecture("google-bert/bert-base-uncased", classes=2).ffn
    3072

    Raises:
        UserError: there is no published BERT of that name.
    """
    short = name.rpartition("/")[2]
    if match := _MINIATURE.fullmatch(short):
        return _architecture(_UNCASED, int(match[1]), int(match[2]), classes)
    if short not in _SIZES:
        raise unknown("encoder", name, _SIZES)
    return _architecture(*_SIZES[short], classes)


def _architecture(vocabulary: int, layers: int, hidden: int, classes: int) -> Architecture:
    return Architecture(
        vocabulary=vocabulary,
        positions=_POSITIONS,
        hidden=hidden,
        heads=hidden // _HEAD_SIZE,
        head_size=_HEAD_SIZE,
        ffn=4 * hidden,
        layers=layers,
        classes=classes,
    )
