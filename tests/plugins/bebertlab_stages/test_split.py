from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest
import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Checkpoint
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.splitter import Measure, Splitter, SplitterOptions, Splitting
from bebertlab.interfaces.stage import Artifact, Codec, PlannedModel, Planning
from bebertlab.interfaces.task import Task
from bebertlab.model.folder import load_model
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.training.labels import NoneOptions
from bebertlab.training.options import TrainOptions
from bebertlab_stages.split import SplitStage
from bebertlab_stages.training import DistillStage

Metrics = Callable[[Artifact], Mapping[str, float]]
Logits = Callable[[Artifact], Mapping[str, Tensor]]


@frozen(kw_only=True)
class Bend(SplitterOptions):
    """Changes the classifier by a little."""

    kind = "bend"
    by: float = 1e-3

    def build(self) -> Splitter:
        return Bender(self.by)


class Bender(Splitter):
    def __init__(self, by: float) -> None:
        self._by = by

    def split(self, source: Checkpoint, measure: Measure) -> Splitting:
        assert {t.dtype for t in source.tensors.values() if t.is_floating_point()} == {torch.float64}
        name = "classifier.bias"
        return Splitting(checkpoint=evolve(source, tensors={**source.tensors, name: source.tensors[name] + self._by}))


@pytest.fixture(scope="module", params=[8, 4])
def ternary(
    request: pytest.FixtureRequest, bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions
) -> Artifact:
    options = {"kind": "binarybert", "weight_bits": 2, "activation_bits": request.param}
    scheme = bench.codec.load(options, SchemeOptions)  # type: ignore[type-abstract]
    stage = DistillStage(model="teacher", scheme=scheme, distillation=NoneOptions(), train=train)
    return bench.run(stage, task, model=teacher)


def tws(codec: Codec) -> SplitterOptions:
    return codec.load({"kind": "tws"}, SplitterOptions)  # type: ignore[type-abstract]


def test_a_split_model_is_equivalent(
    bench: StageRunner,
    task: Task,
    ternary: Artifact,
    metrics: Metrics,
    logits: Logits,
) -> None:
    split = bench.run(SplitStage(model="ternary", splitter=tws(bench.codec)), task, model=ternary)
    actual = metrics(split)
    assert actual["split/logit_difference"] <= 1e-5
    assert actual.keys() >= {"select/score", "validation/score"}
    assert "train/seconds" not in actual
    model = load_model(split.folder, bench.codec)
    assert set(model.spec.branches.values()) == {2}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    # in single precision some activation may round to the next level
    torch.testing.assert_close(logits(split)["select"], logits(ternary)["select"], atol=0.05, rtol=0.05)


def test_a_splitter_that_changes_the_function_is_refused(bench: StageRunner, task: Task, teacher: Artifact) -> None:
    with pytest.raises(UserError, match=r"halves: splitter 'bend' changed the logits by 0\.001"):
        bench.run(SplitStage(model="teacher", splitter=Bend()), task, name="halves", model=teacher)


def test_the_tolerance_is_an_option(bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics) -> None:
    split_model = bench.run(SplitStage(model="teacher", splitter=Bend(), tolerance=0.01), task, model=teacher)
    assert metrics(split_model)["split/logit_difference"] == pytest.approx(1e-3)


def test_a_split_with_nan_outputs_is_refused(bench: StageRunner, task: Task, teacher: Artifact) -> None:
    with pytest.raises(UserError, match="changed the logits by nan"):
        bench.run(SplitStage(model="teacher", splitter=Bend(by=float("nan"))), task, model=teacher)


@frozen(kw_only=True)
class Move(SplitterOptions):
    """Changes the bias of the pooler, and reports the loss of the model."""

    kind = "move"
    changed: frozenset[str] = frozenset()

    def build(self) -> Splitter:
        return Mover(self.changed)


class Mover(Splitter):
    def __init__(self, changed: frozenset[str]) -> None:
        self._changed = changed

    def split(self, source: Checkpoint, measure: Measure) -> Splitting:
        name = "bert.pooler.dense.bias"
        tensors = {**source.tensors, name: source.tensors[name] + 0.5}
        split_model = evolve(source, tensors=tensors)
        losses = {"before": measure(source), "after": measure(split_model), "again": measure(source)}
        return Splitting(checkpoint=split_model, changed=self._changed, metrics=losses, details={"modules": ["pooler"]})


def test_modules_that_change_on_purpose_are_not_compared(
    bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics, logits: Logits
) -> None:
    with pytest.raises(UserError, match=r"the largest difference is 0\.5 at bert\.pooler\.dense\)"):
        bench.run(SplitStage(model="teacher", splitter=Move()), task, model=teacher)
    wrong = SplitStage(model="teacher", splitter=Move(changed=frozenset({"bert.encoder.layer.0.output.dense"})))
    with pytest.raises(UserError, match=r"by .*, 1 modules that it changes on purpose excluded\)"):
        bench.run(wrong, task, model=teacher)
    right = SplitStage(model="teacher", splitter=Move(changed=frozenset({"bert.pooler.dense"})))
    split_model = bench.run(right, task, model=teacher)
    actual = metrics(split_model)
    assert actual["split/module_difference"] == 0.0 < actual["split/logit_difference"]
    assert json.loads((split_model.folder / "split.json").read_text()) == {"modules": ["pooler"]}
    labels = torch.as_tensor(task.splits["select"].labels)
    for artifact, name in ((teacher, "before"), (split_model, "after"), (teacher, "again")):
        expected = float(torch.nn.functional.cross_entropy(logits(artifact)["select"], labels))
        assert actual[f"split/{name}"] == pytest.approx(expected, rel=1e-5)


def test_a_budget_splits_some_modules(bench: StageRunner, task: Task, ternary: Artifact, metrics: Metrics) -> None:
    options = {"kind": "adaptive", "fraction": 0.4}
    splitter = bench.codec.load(options, SplitterOptions)  # type: ignore[type-abstract]
    split_model = bench.run(SplitStage(model="ternary", splitter=splitter), task, model=ternary)
    actual = metrics(split_model)
    details = json.loads((split_model.folder / "split.json").read_text())
    model = load_model(split_model.folder, bench.codec)
    assert [row["module"] for row in details["modules"] if row["split"]]
    assert {row["module"] for row in details["modules"] if row["split"]} == set(model.spec.branches)
    assert actual["split/module_difference"] <= 1e-5
    whole = metrics(bench.run(SplitStage(model="ternary", splitter=tws(bench.codec)), task, model=ternary))
    assert actual["size/matrix_mebibytes"] <= whole["size/matrix_mebibytes"] * (1 + 0.4) / 2
    assert actual.keys() >= {"split/loss", "split/loss_all_split", "split/loss_rise/bert.pooler.dense"}


def test_the_planned_model_keeps_its_tokenizer_and_may_change_its_sizes(
    planned_teacher: PlannedModel, planning: Planning
) -> None:
    stage = SplitStage(model="teacher", splitter=Bend())
    actual = stage.plan_model({"model": (planned_teacher,)}, planning)
    assert actual is not None
    assert (actual.tokenizer, actual.architecture) == (planned_teacher.tokenizer, None)
    assert stage.plan_model({"model": (None,)}, planning) is None
