"""A cascade from the stored members of an ensemble to predictions, as a user has it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from click.testing import CliRunner, Result

from bebertlab import load_model
from bebertlab.artifacts.merged import MergedEnsemble, MergedMember, write_merged
from bebertlab.artifacts.model import evaluate_and_save
from bebertlab.artifacts.outputs import read_logits, write_scores
from bebertlab.cli.main import main
from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import SELECT, VALIDATION, TaskOptions
from bebertlab.packed.read import read_packed
from bebertlab.pipeline.identity import options_identity
from bebertlab.store.store import Store
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab_bebert.merging import HardVoteOptions, WeightedProbabilityOptions

KEYS = ("aa" * 32, "bb" * 32, "cc" * 32)
WEIGHTS = (1.0, 0.5)
TASK = {"kind": "minigrammar", "grammar": "sentiment", "size": 32, "select_size": 60, "validation_size": 40}
TEXTS = ["good film", "bad film", "the plot was fine", "awful cast", "so weak", "a nice cast and a poor plot", "music"]


def store_ensemble(
    work: Path, codec: OptionsCodec, bench: StageRunner, rule: MergerOptions, votes: Sequence[bool] = (True, True)
) -> Path:
    """Two models with their outputs in a store, and a stage that merged them; returns the folder of that stage."""
    options = codec.load(TASK, TaskOptions)  # type: ignore[type-abstract]
    task = options.load()
    spec = codec.load({"kind": "bibert"}, SchemeOptions).spec()  # type: ignore[type-abstract]
    store, parts = Store(work / "store"), {"task": {**options_identity(options, codec), "digest": task.digest}}
    artifacts = []
    for seed, key in enumerate(KEYS[:2]):
        with store.claim(key) as claim:
            context = evolve(bench.context(task), folder=claim.folder)
            model = tiny_model(tiny_task(), spec, seed=seed)
            evaluate_and_save(model, tiny_tokenizer(claim.folder), context)
            claim.commit(
                stage=f"members.{seed}", kind="x", parts={**parts, "inputs": {}}, seconds=0, upstream_seconds={}
            )
        artifacts.append(Artifact(stage=f"members.{seed}", key=key, folder=store.folder(key), seconds=0))
    members = [
        MergedMember(stage=artifact.stage, key=artifact.key, trained=True, kept=vote, weight=weight, votes=vote)
        for artifact, weight, vote in zip(artifacts, WEIGHTS, votes, strict=True)
    ]
    logits = [read_logits(artifact, task) for artifact in artifacts]
    merger = rule.build(2)
    with store.claim(KEYS[2]) as claim:
        stacked = {split: np.stack([m[split] for m in logits]).astype(float) for split in (SELECT, VALIDATION)}
        scores = {split: merger.merge(values, np.array(WEIGHTS)) for split, values in stacked.items()}
        write_scores(scores, claim.folder, probabilities=rule.probabilities)
        write_merged(MergedEnsemble(rule=rule, members=tuple(members)), claim.folder, codec)
        inputs = {"members": [*KEYS[:2]]}
        claim.commit(stage="merge", kind="merge", parts={**parts, "inputs": inputs}, seconds=0, upstream_seconds={})
    return store.folder(KEYS[2])


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory, codec: OptionsCodec, bench: StageRunner) -> Path:
    """The folder of a stage that merged two models."""
    return store_ensemble(tmp_path_factory.mktemp("work"), codec, bench, WeightedProbabilityOptions())


@pytest.fixture(scope="module")
def packed(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same ensemble, packed with a cascade."""
    out = tmp_path_factory.mktemp("packed") / "packed"
    result = pack(merged, "--out", out, "--cascade-tolerance", 10)
    assert result.exit_code == 0, result.stderr
    return out


def pack(*words: object) -> Result:
    return CliRunner().invoke(main, ["model", "pack", *map(str, words)])


def predict(*words: object) -> Result:
    return CliRunner().invoke(main, ["predict", *map(str, words)], input="\n".join(TEXTS))


def rows(result: Result) -> list[list[float]]:
    assert result.exit_code == 0, result.stderr
    return [[*json.loads(line)["probabilities"].values()] for line in result.stdout.splitlines()]


def test_the_margin_is_chosen_by_select_and_its_validation_score_is_reached(
    packed: Path, merged: Path, codec: OptionsCodec
) -> None:
    cascade = read_packed(packed, codec).cascade
    assert cascade is not None
    assert (cascade.tolerance, cascade.select.examples, cascade.validation.examples) == (10, 60, 40)
    assert cascade.select.value >= cascade.full.value - 10
    task = codec.load(TASK, TaskOptions).load()  # type: ignore[type-abstract]
    model = load_model(packed, cascade=True)
    assert model.cascade == cascade.margin
    for split, score in ((SELECT, cascade.select), (VALIDATION, cascade.validation)):
        scores = model.logits(task.splits[split].texts)
        assert task.evaluate(split, scores, probabilities=True)[task.score] == score.value
    full = load_model(merged).logits(task.splits[SELECT].texts)
    assert task.evaluate(SELECT, full, probabilities=True)[task.score] == cascade.full.value


def test_the_mean_number_of_members_is_that_which_was_stored(packed: Path, codec: OptionsCodec) -> None:
    cascade = read_packed(packed, codec).cascade
    assert cascade is not None
    model = load_model(packed, cascade=True)
    texts = codec.load(TASK, TaskOptions).load().splits[SELECT].texts  # type: ignore[type-abstract]
    asked = model.answers_of(model.tokenize(texts)).members
    assert tuple(float((asked > member).mean()) for member in range(2)) == cascade.shares


def test_card_and_show_say_what_a_cascade_saves(packed: Path, codec: OptionsCodec) -> None:
    cascade = read_packed(packed, codec).cascade
    assert cascade is not None
    text = f"below a margin of {cascade.margin:g} the next member is asked, {sum(cascade.shares):.2f} of 2 on average"
    assert f"| cascade | {text}" in (packed / "README.md").read_text()
    shown = CliRunner().invoke(main, ["model", "show", str(packed)])
    assert f"cascade: {text}" in shown.stdout
    data = json.loads(CliRunner().invoke(main, ["model", "show", str(packed), "--format", "json"]).stdout)
    assert data["cascade"]["margin"] == cascade.margin


def test_packing_without_a_cascade_writes_no_field(merged: Path, tmp_path: Path) -> None:
    assert pack(merged, "--out", tmp_path / "packed").exit_code == 0
    assert "cascade" not in json.loads((tmp_path / "packed/config.json").read_text())["bebertlab"]
    with pytest.raises(UserError, match=r"no margin of a cascade was chosen; pack the ensemble by"):
        load_model(tmp_path / "packed", cascade=True)


def test_predictions_follow_the_option(packed: Path) -> None:
    full, first, all_members = rows(predict(packed)), predict(packed, "--margin", 0), predict(packed, "--margin", "inf")
    assert rows(all_members) == full
    assert all_members.stderr.splitlines()[-1] == "cascade: 2.00 of 2 members on average"
    assert first.stderr.splitlines()[-1] == "cascade: 1.00 of 2 members on average"
    assert rows(first) != full
    margin = sorted(abs(one - other) for one, other in rows(first))[3]
    some = predict(packed, "--margin", margin, "--batch-size", 3)
    assert some.stderr.splitlines()[-1] == f"cascade: {1 + 3 / 7:.2f} of 2 members on average"
    assert [row for row in rows(some) if row not in rows(first)] == [
        row for row, (one, other) in zip(full, rows(first), strict=True) if abs(one - other) < margin
    ]
    assert predict(packed).stderr == ""
    assert "of 2 members" in predict(packed, "--cascade").stderr


def test_an_ensemble_in_the_store_predicts_without_packing(merged: Path, packed: Path) -> None:
    trained, small = load_model(merged), load_model(packed)
    assert (trained.members, trained.classes, trained.maximum_tokens) == (2, small.classes, small.maximum_tokens)
    assert np.array_equal(trained.logits(TEXTS), small.logits(TEXTS))
    work = merged.parents[2]
    assert rows(predict("merge", "--work", work)) == rows(predict(packed))
    assert rows(predict("merge", "--work", work, "--margin", 0.5)) == rows(predict(packed, "--margin", 0.5))
    with pytest.raises(UserError, match=r"no margin of a cascade was chosen"):
        load_model(merged, cascade=True)


def test_an_ensemble_outside_of_its_store_is_refused(merged: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(merged, tmp_path / "copy")
    with pytest.raises(SetupError, match="is not in a store, which has the members that it lists"):
        load_model(copy)


def test_an_ensemble_with_a_single_voter_is_that_model(tmp_path: Path, codec: OptionsCodec, bench: StageRunner) -> None:
    folder = store_ensemble(tmp_path, codec, bench, WeightedProbabilityOptions(), (False, True))
    member = load_model(Store(tmp_path / "store").folder(KEYS[1]))
    assert np.array_equal(load_model(folder).logits(TEXTS), member.logits(TEXTS))
    with pytest.raises(UserError, match="a cascade needs an ensemble, and this is a single model"):
        load_model(folder, cascade=0.5)
    refused = pack(folder, "--cascade", "--out", tmp_path / "packed")
    assert (refused.exit_code, "a cascade needs an ensemble" in refused.stderr) == (2, True)


def test_votes_have_no_margin(tmp_path: Path, codec: OptionsCodec, bench: StageRunner) -> None:
    folder = store_ensemble(tmp_path, codec, bench, HardVoteOptions())
    with pytest.raises(UserError, match="the rule 'hard_vote' counts votes"):
        load_model(folder, cascade=0.5)
    refused = pack(folder, "--cascade", "--out", tmp_path / "packed")
    assert (refused.exit_code, "the rule 'hard_vote' counts votes" in refused.stderr) == (2, True)
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize("cascade", [-0.1, float("nan")])
def test_margins_are_numbers_of_at_least_zero(cascade: float, packed: Path) -> None:
    with pytest.raises(UserError, match="the margin of a cascade must be at least 0"):
        load_model(packed, cascade=cascade)
