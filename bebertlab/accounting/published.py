"""Sizes of published BERTs, so that they can be counted without their files."""

from __future__ import annotations

import re

from bebertlab.errors import unknown
from bebertlab.interfaces.architecture import Architecture

_POSITIONS = 512
_HEAD_SIZE = 64
_UNCASED, _CASED = 30522, 28996
#: name to word embedding's rows, layers, hidden size; every one has heads of 64 and a feed-forward part of 4 * hidden
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
#: the 24 small models of arXiv:1908.08962, of which four have a name of their own
_MINIATURE = re.compile(r"bert_uncased_L-(\d+)_H-(\d+)_A-(\d+)")

PUBLISHED = tuple(_SIZES)


def published_architecture(name: str, classes: int) -> Architecture:
    """The sizes of a published BERT by its name on the Hugging Face hub, with or without its owner.

    >>> published_architecture("google-bert/bert-base-uncased", classes=2).ffn
    3072

    Raises:
        UserError: it is not known here.
    """
    short = name.rpartition("/")[2]
    if found := _MINIATURE.fullmatch(short):
        return _architecture(_UNCASED, int(found[1]), int(found[2]), classes)
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
