"""The format of a packed model, version 1: names of tensors, metadata of the file, and the section of config.json.

`docs/reference/packed-format.md` describes it for programs that read it without bebertlab. What is here changes only
with the number of the format, and files of version 1 are always read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from attrs import Attribute, field, fields, frozen, validators

from bebertlab.data.tokenizer import ModelTokenizer
from bebertlab.formats import PACKED_MODEL
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.quantizer import Alphabet
from bebertlab.interfaces.stage import Codec
from bebertlab.model.folder import CONFIGURATION
from bebertlab.packed.container import Array

ARCHITECTURE = "PackedBertForSequenceClassification"  #: in `architectures` of config.json
SECTION = "bebertlab"  #: of config.json
CARD = "README.md"
FORMAT = "bebertlab-packed"  #: `format` in the metadata
BIT_ORDER = "little"  #: `bit_order` in the metadata: bit j of byte i is column 8 i + j
PLANES, STEP, OFFSET = "weight", "weight_step", "weight_offset"  #: names of the tensors of a branch
SHARED = "shared."  #: prefix of tensors that are equal in all members of an ensemble
_SECTION_HASH = f"sha256:{CONFIGURATION}:{SECTION}"


def member_prefix(index: int) -> str:
    """The prefix of the tensors of a member that are not shared.

    >>> member_prefix(1)
    'members.1.'
    """
    return f"members.{index}."


def _weight(_: object, attribute: Attribute[Any], value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"'{attribute.name}' must be finite and >= 0: {value}")


@frozen(kw_only=True)
class WeightCodes:
    """What the planes of a matrix stand for."""

    low: int  #: the lowest level; index 0
    high: int  #: the highest level
    spacing: int  #: from a level to the next one
    columns: int = field(validator=validators.ge(1))  #: of the matrix; the planes are padded

    @classmethod
    def of(cls, alphabet: Alphabet, columns: int) -> WeightCodes:
        """Those of a matrix whose levels are of an alphabet."""
        return cls(low=alphabet.low, high=alphabet.high, spacing=alphabet.spacing, columns=columns)

    def alphabet(self) -> Alphabet:
        """The alphabet of the levels.

        Raises:
            ValueError: there is none of these numbers.
        """
        return Alphabet(self.low, self.high, self.spacing)


@frozen(kw_only=True)
class MemberConfig:
    """A model: the only one, or a member of an ensemble."""

    architecture: Architecture
    design: QuantSpec  #: what is quantized where; the quantizers of weights say where the planes come from
    weight: float = field(default=1.0, validator=_weight)  #: in the ensemble


@frozen(kw_only=True)
class Score:
    """A score of the model that was packed, on its validation split unless it is another split."""

    metric: str  #: e.g. `accuracy`
    value: float  #: in percent, as everywhere
    examples: int = field(validator=validators.ge(1))  #: of the split


def _shares(_: object, attribute: Attribute[Any], shares: tuple[float, ...]) -> None:
    if not all(1 >= share >= after >= 0 for share, after in zip(shares, (*shares[1:], 0), strict=True)):
        raise ValueError(f"'{attribute.name}' must be in [0, 1], and never rise: {shares}")


@frozen(kw_only=True)
class Cascade:
    """Where the members of an ensemble may be asked one after the other, and what that gave on held-out examples."""

    margin: float = field(validator=_weight)  #: the next member is asked below this difference of two probabilities
    tolerance: float  #: points of the score that it may cost on `select`, by which the margin was chosen
    select: Score  #: that it reached on the held-out examples
    full: Score  #: that all members reached on them
    shares: tuple[float, ...] = field(validator=_shares)  #: of these examples, those that each member was asked for
    validation: Score  #: that it reached on the validation split, which had no part in the choice


@frozen(kw_only=True)
class PackedConfig:
    """The section of config.json."""

    format_version: int
    producer: str  #: what wrote it, with its version
    members: tuple[MemberConfig, ...] = field(validator=validators.min_len(1))
    rule: MergerOptions | None = None  #: how the members of an ensemble are merged; null for a single model
    codes: Mapping[str, WeightCodes]  #: of every tensor of planes, by its name in the file
    vocabulary: str  #: `vocabulary_hash` of the tokenizer
    full_precision: Mapping[str, str]  #: names of matrices that are not packed, and why
    task: str | None = None  #: that it was trained on
    score: Score | None = None
    plugins: Mapping[str, str] = field(factory=dict)  #: versions of the plugins whose parts the model has
    cascade: Cascade | None = None  #: of an ensemble for which one was chosen

    def section(self, codec: Codec) -> dict[str, Any]:
        """It as plain data, without optional fields that came after the first files of the format."""
        data: dict[str, Any] = codec.dump(self)
        if self.cascade is None:
            del data["cascade"]
        return data

    @classmethod
    def of(cls, section: Mapping[str, Any], codec: Codec) -> PackedConfig:
        """Read plain data, without the fields that a later writer may have added.

        Raises:
            UserError: a field is missing or wrong.
        """
        known = {attribute.name for attribute in fields(cls)}
        return codec.load({name: value for name, value in section.items() if name in known}, cls)


@frozen(kw_only=True, eq=False)
class PackedContents:
    """What config.json and the file of tensors say, as it is written and read."""

    config: PackedConfig
    section: Mapping[str, Any]  #: `config` as plain data, of which the file of tensors has the hash
    arrays: Mapping[str, Array]  #: by name in the file


def metadata(section: Mapping[str, Any], tensors: Mapping[str, Array], producer: str) -> dict[str, str]:
    """The metadata of a file."""
    return {
        "format": FORMAT,
        "format_version": str(PACKED_MODEL.number),
        "bit_order": BIT_ORDER,
        "producer": producer,
        _SECTION_HASH: section_hash(section),
        **{f"sha256:{name}": tensor_hash(array) for name, array in tensors.items()},
    }


def metadata_problem(given: Mapping[str, str], section: Mapping[str, Any], tensors: Mapping[str, Array]) -> str:
    """What is wrong in the metadata of a file; empty if nothing is. The format's number is checked before."""
    if given.get("format") != FORMAT:
        return f"metadata: format is {given.get('format')!r:.80}, expected {FORMAT!r}"
    if given.get("bit_order") != BIT_ORDER:
        return f"metadata: bit_order is {given.get('bit_order')!r:.80}, expected {BIT_ORDER!r}"
    if given.get(_SECTION_HASH) != section_hash(section):
        return f"the section {SECTION!r} of {CONFIGURATION} is another one than that which was written with the tensors"
    damaged = (name for name, array in tensors.items() if given.get(f"sha256:{name}") != tensor_hash(array))
    if (name := next(damaged, None)) is not None:
        return f"{name}: its bytes have another sha256 than when they were written"
    return ""


def tensor_hash(array: Array) -> str:
    """The sha256 of the bytes of a tensor in the file."""
    return hashlib.sha256(array.reshape(-1).data).hexdigest()


def vocabulary_hash(tokenizer: ModelTokenizer) -> str:
    """The sha256 of the tokens with their ids: of their JSON as in `section_hash`."""
    return section_hash(tokenizer.tokenizer.get_vocab(with_added_tokens=True))


def section_hash(section: Mapping[str, Any]) -> str:
    """The sha256 of a section of config.json: of its JSON with sorted keys, without spaces, in ASCII."""
    text = json.dumps(section, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
