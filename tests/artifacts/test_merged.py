from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from bebertlab.artifacts.merged import MERGED_FILE, MergedEnsemble, MergedMember, read_merged, write_merged
from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import SetupError, UserError
from bebertlab.formats import OtherFormat
from bebertlab_bebert.merging import HardVoteOptions

MEMBER = MergedMember(stage="members.0", key="ab", trained=True, kept=True, weight=0.1, votes=True)
ENSEMBLE = MergedEnsemble(
    rule=HardVoteOptions(tie="lowest_class"),
    members=(MEMBER, evolve(MEMBER, key="cd", kept=False, votes=False), evolve(MEMBER, key="ef", weight=0.0)),
)


def test_what_was_written_is_read(codec: OptionsCodec, tmp_path: Path) -> None:
    write_merged(ENSEMBLE, tmp_path, codec)
    assert read_merged(tmp_path, codec) == ENSEMBLE
    assert [member.key for member in ENSEMBLE.voters] == ["ab", "ef"]


def test_files_that_are_not_of_an_ensemble_are_refused(codec: OptionsCodec, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no such file"):
        read_merged(tmp_path, codec)
    write_merged(ENSEMBLE, tmp_path, codec)
    data = json.loads((tmp_path / MERGED_FILE).read_text())
    for changes, error, what in (
        ({"format": 1}, OtherFormat, "format 1"),
        ({"members": []}, UserError, "members"),
        ({"rule": {"kind": "nothing"}}, UserError, "nothing"),
        ({"members": [{}], "more": 1}, UserError, "; "),
    ):
        (tmp_path / MERGED_FILE).write_text(json.dumps({**data, **changes}))
        with pytest.raises(error, match=what) as caught:
            read_merged(tmp_path, codec)
        assert str(caught.value).startswith(f"{tmp_path / MERGED_FILE}: ")
        assert len(str(caught.value).splitlines()) == 1
