from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bebertlab.artifacts.merged import MergedEnsemble, MergedMember, write_merged
from bebertlab.artifacts.packed import PACKED_FOLDER
from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.interfaces.task import TaskOptions
from bebertlab.packed.contract import Score
from bebertlab.pipeline.identity import options_identity
from bebertlab.store.store import Store
from bebertlab.study.find_packable import find_packable, find_packed
from bebertlab_bebert.merging import HardVoteOptions, WeightedProbabilityOptions

KEYS = {name: f"{name}{name}" * 16 for name in ("aa", "bb", "cc", "dd", "ee", "ff")}
EXAMPLES = 40


@pytest.fixture
def task(codec: OptionsCodec) -> dict[str, Any]:
    """The part of a key of a generated task."""
    data = {"kind": "minigrammar", "grammar": "sentiment", "size": 16, "select_size": 8, "validation_size": 8}
    options = codec.load(data, TaskOptions)  # type: ignore[type-abstract]
    return {**options_identity(options, codec), "digest": options.load().digest}


class Stages:
    """Stages in the store of a work folder."""

    def __init__(self, work: Path, codec: OptionsCodec, task: dict[str, Any]) -> None:
        self.store, self.codec, self.task = Store(work / "store"), codec, task

    def add(
        self,
        name: str,
        stage: str,
        *inputs: str,
        score: float | None = None,
        model: bool = False,
        merged: MergedEnsemble | None = None,
        packed: bool = False,
        members: Sequence[str] = (),
    ) -> None:
        with self.store.claim(KEYS[name]) as claim:
            if model:
                (claim.folder / "config.json").write_text("{}")
                save_file({"validation": torch.zeros(EXAMPLES, 2)}, claim.folder / "logits.safetensors")
            if merged is not None:
                write_merged(merged, claim.folder, self.codec)
                save_file({"validation": torch.zeros(EXAMPLES, 2)}, claim.folder / "scores.safetensors")
            if packed:
                (claim.folder / PACKED_FOLDER).mkdir()
                (claim.folder / PACKED_FOLDER / "config.json").write_text("{}")
            metrics = "{}" if score is None else f'{{"validation/score": {score}, "validation/accuracy": {score}}}'
            (claim.folder / "metrics.json").write_text(metrics)
            named = {"of": [KEYS[name] for name in inputs], "members": [KEYS[name] for name in members]}
            parts = {"inputs": named, "task": self.task}
            claim.commit(stage=stage, kind=stage, parts=parts, seconds=0.0, upstream_seconds={})

    def folders(self, *names: str) -> tuple[Path, ...]:
        return tuple(self.store.folder(KEYS[name]) for name in names)


def ensemble(votes: Sequence[bool], rule: Any = None) -> MergedEnsemble:  # noqa: ANN401
    return MergedEnsemble(
        rule=rule or WeightedProbabilityOptions(),
        members=tuple(
            MergedMember(
                stage=f"members.{index}", key=KEYS[name], trained=True, kept=vote, weight=1.0 + index, votes=vote
            )
            for index, (name, vote) in enumerate(zip(("aa", "bb", "cc"), votes, strict=True))
        ),
    )


@pytest.fixture
def stages(tmp_path: Path, codec: OptionsCodec, task: dict[str, Any]) -> Stages:
    stages = Stages(tmp_path, codec, task)
    for index, name in enumerate(("aa", "bb", "cc")):
        stages.add(name, f"members.{index}", model=True, score=50.0 + index)
    return stages


def test_an_evaluation_stands_for_the_members_that_vote(stages: Stages, tmp_path: Path, codec: OptionsCodec) -> None:
    stages.add("dd", "merge", "aa", "bb", "cc", merged=ensemble([True, False, True], HardVoteOptions()))
    stages.add("ee", "score", "dd", score=75.0)
    packable = find_packable("score", tmp_path, codec)
    assert packable.source.folders == stages.folders("aa", "cc")
    assert packable.source.weights == (1.0, 3.0)
    assert packable.source.rule == HardVoteOptions()
    assert packable.task is not None
    assert packable.source.task == packable.task.name == "minigrammar/sentiment"
    assert packable.source.score == Score(metric="accuracy", value=75.0, examples=EXAMPLES)
    of_merge = find_packable(str(stages.folders("dd")[0]), tmp_path, codec)
    assert of_merge.source.folders == packable.source.folders
    assert of_merge.source.score is None


def test_an_ensemble_of_a_single_voter_is_a_model(stages: Stages, tmp_path: Path, codec: OptionsCodec) -> None:
    stages.add("dd", "merge", "aa", "bb", "cc", merged=ensemble([False, True, False]))
    source = find_packable("merge", tmp_path, codec).source
    assert (source.folders, source.weights, source.rule) == (stages.folders("bb"), (1.0,), None)


def test_a_model_of_the_store_is_found_by_name_and_by_folder(
    stages: Stages, tmp_path: Path, codec: OptionsCodec
) -> None:
    for name in ("members.1", KEYS["bb"][:10], str(stages.folders("bb")[0])):
        source = find_packable(name, tmp_path, codec).source
        assert source.folders == stages.folders("bb")
        assert source.score == Score(metric="accuracy", value=51.0, examples=EXAMPLES)


def test_any_other_folder_is_taken_as_that_of_a_model(tmp_path: Path, codec: OptionsCodec) -> None:
    packable = find_packable(str(tmp_path), tmp_path, codec)
    assert (packable.source.folders, packable.source.task, packable.task) == ((tmp_path,), None, None)


@pytest.mark.parametrize("change", [{"digest": "another"}, {"options": {"kind": "nothing"}}, {"options": 3}])
def test_a_task_whose_data_are_others_or_not_there_is_not_used(
    change: dict[str, Any], tmp_path: Path, codec: OptionsCodec, task: dict[str, Any]
) -> None:
    Stages(tmp_path, codec, {**task, **change}).add("aa", "alone", model=True, score=50.0)
    packable = find_packable("alone", tmp_path, codec)
    assert packable.task is None
    assert packable.source.score == Score(metric="accuracy", value=50.0, examples=EXAMPLES)


def test_what_cannot_be_packed_is_named(stages: Stages, tmp_path: Path, codec: OptionsCodec) -> None:
    stages.add("dd", "lost", merged=ensemble([True, True, True]))
    stages.add("ee", "both", "aa", "bb")
    stages.add("ff", "nothing")
    (stages.store.folder(KEYS["cc"]) / "manifest.json").unlink()
    for name, error in (
        ("lost", f"member members.2 of stage 'lost' has the key {KEYS['cc'][:12]}, which is not in"),
        ("both", "'both' was built from 2 models, which no stage merged; choose one of members.0"),
        ("nothing", "stage 'nothing' has no model"),
        ("unknown", "unknown stage or key 'unknown'"),
    ):
        with pytest.raises(UserError, match=error):
            find_packable(name, tmp_path, codec)


def test_the_packed_model_of_a_result_is_found(stages: Stages, tmp_path: Path, codec: OptionsCodec) -> None:
    stages.add("dd", "merge", "aa", "bb", "cc", merged=ensemble([True, True, False]))
    stages.add("ee", "packed", "dd", packed=True, members=("aa", "bb", "cc"))
    stages.add("ff", "score", "dd", "ee", score=75.0)
    (folder,) = stages.folders("ee")
    for name in ("packed", "score", KEYS["ff"][:8]):
        found = find_packed(name, tmp_path)
        assert found is not None
        assert (found.folder, found.manifest.stage) == (folder / PACKED_FOLDER, "packed")
        # without it the members are packed, and not those that the stage reads besides
        assert find_packable(name, tmp_path, codec).source.folders == stages.folders("aa", "bb")
    for name in ("merge", "members.0", str(tmp_path)):
        assert find_packed(name, tmp_path) is None
