"""A merged ensemble as it is stored: by which rule, and which members vote with which weights."""

from __future__ import annotations

import json
from pathlib import Path

from attrs import field, frozen, validators

from bebertlab.errors import UserError
from bebertlab.files import read_json
from bebertlab.formats import MERGED_ENSEMBLE
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.stage import Codec

MERGED_FILE = "members.json"


@frozen(kw_only=True)
class MergedMember:
    """A model that was merged, or that its ensemble discarded."""

    stage: str  #: its name in the recipe
    key: str  #: in the store
    trained: bool  #: False: it has no model
    kept: bool  #: by its ensemble
    weight: float  #: in the vote, where it votes
    votes: bool


@frozen(kw_only=True)
class MergedEnsemble:
    """The members of an ensemble in order, and the rule that merged them."""

    rule: MergerOptions
    members: tuple[MergedMember, ...] = field(validator=validators.min_len(1))

    @property
    def voters(self) -> tuple[MergedMember, ...]:
        """The members that vote."""
        return tuple(member for member in self.members if member.votes)


def write_merged(ensemble: MergedEnsemble, folder: Path, codec: Codec) -> None:
    """Write an ensemble into the folder of its artifact, next to its scores."""
    data = {"format": MERGED_ENSEMBLE.number, **codec.dump(ensemble)}
    (folder / MERGED_FILE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def read_merged(folder: Path, codec: Codec) -> MergedEnsemble:
    """The ensemble in the folder of an artifact.

    Raises:
        SetupError: the file is missing.
        UserError: it is damaged, of another format, or needs a plugin that is not there.
    """
    path = folder / MERGED_FILE
    data = read_json(path)
    MERGED_ENSEMBLE.check(data.pop("format", None), path)
    try:
        return codec.load(data, MergedEnsemble)
    except UserError as error:
        raise type(error)(f"{path}: {'; '.join(str(error).splitlines())}") from error
