from __future__ import annotations

from pathlib import Path

import pytest

from bebertlab.artifacts.merged import MergedEnsemble, MergedMember, write_merged
from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.store.ensembles import merged_folders
from bebertlab.store.manifest import Manifest
from bebertlab.store.store import Store
from bebertlab_bebert.merging import MeanProbabilityOptions

KEYS = ("aa" * 32, "bb" * 32, "cc" * 32)


def commit(
    store: Store, key: str, ensemble: MergedEnsemble | None = None, codec: OptionsCodec | None = None
) -> Manifest:
    with store.claim(key) as claim:
        if ensemble is not None and codec is not None:
            write_merged(ensemble, claim.folder, codec)
        claim.commit(stage="merge", kind="merge", parts={"inputs": {}}, seconds=0, upstream_seconds={})
    manifest = store.peek(key)
    assert manifest is not None
    return manifest


@pytest.fixture
def ensemble() -> MergedEnsemble:
    members = (
        MergedMember(stage=f"members.{index}", key=key, trained=True, kept=votes, weight=1.0 + index, votes=votes)
        for index, (key, votes) in enumerate(zip(KEYS, (True, False, True), strict=True))
    )
    return MergedEnsemble(rule=MeanProbabilityOptions(), members=tuple(members))


def test_members_that_vote_are_found(ensemble: MergedEnsemble, tmp_path: Path, codec: OptionsCodec) -> None:
    store = Store(tmp_path)
    for key in KEYS:
        commit(store, key)
    source = merged_folders(store, commit(store, "dd" * 32, ensemble, codec), codec)
    assert source.folders == (store.folder(KEYS[0]), store.folder(KEYS[2]))
    assert (source.weights, source.rule) == ((1.0, 3.0), MeanProbabilityOptions())


def test_a_member_that_is_gone_is_named(ensemble: MergedEnsemble, tmp_path: Path, codec: OptionsCodec) -> None:
    store = Store(tmp_path)
    commit(store, KEYS[0])
    with pytest.raises(UserError, match=r"member members.2 of stage 'merge' has the key cccccccccccc, which is not in"):
        merged_folders(store, commit(store, "dd" * 32, ensemble, codec), codec)
