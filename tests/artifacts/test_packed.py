from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import evolve
from safetensors.numpy import load_file, save_file

from bebertlab.artifacts.merged import MergedEnsemble, MergedMember
from bebertlab.artifacts.model import evaluate_and_save
from bebertlab.artifacts.packed import PACK_METRICS, PACKED_FOLDER, latency_metrics, pack_artifact, source_folders
from bebertlab.data.batches import group_for_evaluation
from bebertlab.data.examples import load_examples
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import Task
from bebertlab.packed.read import read_packed
from bebertlab.processors import processor_name
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab_bebert.merging import HardVoteOptions
from bebertlab_stages.merge import MergeStage

MakeModel = Callable[..., Artifact]


@pytest.fixture
def model(bench: StageRunner, tmp_path: Path) -> MakeModel:
    """Leaves a model with its outputs, as a stage does."""

    def make(scheme: str = "bibert", *, seed: int = 0, task: Task | None = None, hidden: int = 16) -> Artifact:
        context = bench.context(task)
        spec = QuantSpec() if not scheme else bench.codec.load({"kind": scheme}, SchemeOptions).spec()  # type: ignore[type-abstract]
        twin = tiny_model(context.task, spec, seed=seed, hidden=hidden)
        evaluate_and_save(twin, tiny_tokenizer(tmp_path / "tokenizer"), context)
        return Artifact(stage=f"model{seed}", key=context.folder.name, folder=context.folder, seconds=0.0)

    return make


def pack(bench: StageRunner, source: Artifact, *members: Artifact, task: Task | None = None) -> tuple[Artifact, dict]:  # type: ignore[type-arg]
    context = bench.context(task)
    metrics = pack_artifact(source, members, context)
    return Artifact(stage="packed", key=context.folder.name, folder=context.folder, seconds=0.0), metrics


def change(artifact: Artifact, name: str, amount: float, rows: Sequence[int] = (0,), split: str = "select") -> Artifact:
    """The artifact with other stored outputs of some examples of a split, class 0."""
    outputs = load_file(artifact.folder / name)
    outputs[split][list(rows), 0] += amount
    save_file(outputs, artifact.folder / name)
    return artifact


def test_a_model_is_packed_with_its_score_and_compared_on_every_split(bench: StageRunner, model: MakeModel) -> None:
    packed, metrics = pack(bench, model())
    assert metrics.keys() == {*PACK_METRICS}
    file = read_packed(packed.folder / PACKED_FOLDER, bench.codec)
    assert metrics["size/packed_mebibytes"] == file.file_bytes / 2**20
    assert metrics["packed/examples"] == 2 * 32
    assert (metrics["packed/logit_difference"], metrics["packed/full_precision_matrices"]) == (0, 0)
    assert (file.task, file.classes) == ("tiny", ("blame", "praise"))
    assert file.score is not None
    assert file.score.examples == 32
    assert set(file.plugins) == {"bibert"}


def test_some_batches_are_compared_where_not_all_are(
    bench: StageRunner, model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bebertlab.inference.predict.evaluation_tokens", lambda *_: 40)
    source = model()
    context = bench.context()
    examples = load_examples(context.task, "validation", source.folder, 32)
    plan = group_for_evaluation(examples.tokens.lengths, 40)
    chosen = plan.cheapest(examples.tokens.lengths, 5).order
    assert 5 <= len(chosen) < 16
    metrics = pack_artifact(source, (), context, examples=5)
    assert metrics["packed/logit_difference"] == 0
    assert metrics["packed/examples"] == len(chosen)
    change(
        source, "logits.safetensors", 1.0, [position for position in range(32) if position not in chosen], "validation"
    )
    change(source, "logits.safetensors", 1.0)
    assert pack_artifact(source, (), bench.context(), examples=5) == metrics
    change(source, "logits.safetensors", 1.0, chosen[2:3].tolist(), "validation")
    with pytest.raises(UserError, match="on validation: "):
        pack_artifact(source, (), bench.context(), examples=5)


def test_batches_are_those_of_the_stored_outputs(
    bench: StageRunner, model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the range of BinaryBERT's quantizer of activations is that of a batch
    source = model("binarybert")
    assert pack(bench, source)[1]["packed/logit_difference"] == 0
    monkeypatch.setattr("bebertlab.inference.predict.evaluation_tokens", lambda *_: 40)
    with pytest.raises(UserError, match="does not answer as the stored outputs"):
        pack(bench, source)


def test_members_of_other_widths_have_batches_of_their_own(
    bench: StageRunner, model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bebertlab.inference.predict.evaluation_tokens", lambda widest, _: widest)
    members = model("binarybert"), model("binarybert", seed=1, hidden=32)
    merged = bench.run(
        MergeStage(members=("a", "b"), rule=HardVoteOptions(), weights=(1.0, 2.0)), members=members, prepare=False
    )
    context = bench.context()
    metrics = pack_artifact(merged, members, context, examples=5)
    assert (metrics["packed/examples"], metrics["packed/logit_difference"]) == (32, 0)


def test_full_precision_and_regression_are_packed_too(bench: StageRunner, model: MakeModel) -> None:
    _, metrics = pack(bench, model(""))
    assert metrics["packed/full_precision_matrices"] == 14
    assert metrics["packed/logit_difference"] < 1e-5
    task = tiny_task(regression=True)
    packed, metrics = pack(bench, model("bibert", task=task), task=task)
    assert metrics["packed/logit_difference"] == 0
    assert read_packed(packed.folder / PACKED_FOLDER, bench.codec).classes == ()


@pytest.mark.parametrize("amount", [2e-4, float("nan")])
def test_other_answers_than_those_stored_are_refused(amount: float, bench: StageRunner, model: MakeModel) -> None:
    source = change(model(), "logits.safetensors", amount)
    with pytest.raises(UserError, match=r"does not answer as the stored outputs on select: \d of 32 answers"):
        pack(bench, source)


def test_other_classes_are_counted(bench: StageRunner, model: MakeModel) -> None:
    source = model()
    outputs = load_file(source.folder / "logits.safetensors")
    outputs["validation"][3] = outputs["validation"][3, ::-1]
    save_file(outputs, source.folder / "logits.safetensors")
    with pytest.raises(UserError, match="on validation: 1 of 32 answers are others"):
        pack(bench, source)


def test_an_ensemble_is_packed_of_its_voters(bench: StageRunner, model: MakeModel) -> None:
    members = tuple(model(seed=seed) for seed in range(3))
    merged = bench.run(
        MergeStage(members=("a", "b", "c"), rule=HardVoteOptions(), weights=(1.0, 2.0, 2.5)),
        members=members,
        prepare=False,
    )
    packed, metrics = pack(bench, merged, *members)
    file = read_packed(packed.folder / PACKED_FOLDER, bench.codec)
    assert [member.weight for member in file.members] == [1.0, 2.0, 2.5]
    assert file.rule == HardVoteOptions()
    assert metrics["packed/logit_difference"] == 0
    with pytest.raises(UserError, match="stage stage merges model1, which is no input of this stage"):
        pack(bench, merged, members[0], members[2])
    # a vote hides small differences of logits
    change(members[1], "logits.safetensors", 2e-4)
    with pytest.raises(UserError, match="does not answer as the stored outputs on select"):
        pack(bench, merged, *members)


def test_scores_that_were_merged_otherwise_are_refused(bench: StageRunner, model: MakeModel) -> None:
    members = tuple(model(seed=seed) for seed in range(2))
    merged = bench.run(
        MergeStage(members=("a", "b"), rule=HardVoteOptions(), weights=(1.0, 2.0)), members=members, prepare=False
    )
    change(merged, "scores.safetensors", 0.5)
    with pytest.raises(UserError, match=r"a logit or score differs by up to 0\.5"):
        pack(bench, merged, *members)


def test_an_ensemble_with_one_voter_is_that_model(tmp_path: Path) -> None:
    members = tuple(
        MergedMember(stage=name, key=name, trained=True, kept=weight > 1, weight=weight, votes=weight > 1)
        for name, weight in (("a", 1.0), ("b", 2.0), ("c", 3.0))
    )
    both = MergedEnsemble(rule=HardVoteOptions(), members=members)
    folders = (tmp_path / "b", tmp_path / "c")
    assert source_folders(both, folders).weights == (2.0, 3.0)
    assert source_folders(both, folders).rule == HardVoteOptions()
    single = source_folders(evolve(both, members=members[:2]), folders[:1])
    assert single == source_folders(None, folders[:1])


def test_the_time_is_measured_and_the_processor_is_named(bench: StageRunner, model: MakeModel) -> None:
    packed, _ = pack(bench, model())
    bench.warnings.clear()
    metrics = latency_metrics(packed, bench.context())
    assert 0 < metrics["cost/sentence_milliseconds"] < 1000
    assert len(bench.warnings) == 1
    assert f"measured on {processor_name()} with one thread" in bench.warnings[0]
