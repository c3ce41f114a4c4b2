from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve, frozen

from bebertlab.artifacts.metrics import read_metrics
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.stage import Context, Inputs, StageOptions, stage_input
from bebertlab.testing.stage_runner import StageRunner, TinyTestEncoder
from bebertlab.testing.tiny import tiny_model, tiny_task


@frozen(kw_only=True)
class Copy(StageOptions):
    kind = "copy"
    source: str | None = stage_input(optional=True)

    def run(self, inputs: Inputs, context: Context) -> None:
        before = "".join((item.folder / "text").read_text() for item in inputs.many("source"))
        (context.folder / "text").write_text(f"{before}{context.stage}{context.seed} ")


@pytest.fixture
def bench(tmp_path: Path) -> StageRunner:
    return StageRunner(tmp_path, kinds=[Copy])


def test_stages_read_artifacts_of_other_stages(bench: StageRunner) -> None:
    first = bench.run(Copy(), tiny_task(), name="a")
    second = bench.run(Copy(source="a"), tiny_task(), seed=2, name="b", source=first)
    both = bench.run(Copy(source="x"), tiny_task(), name="c", source=(first, second))
    assert (both.folder / "text").read_text() == "a0 a0 b2 c0 "
    assert len({first.key, second.key, both.key}) == 3


def test_the_encoder_is_that_of_the_tiny_task(tmp_path: Path) -> None:
    encoder = TinyTestEncoder()
    tokenizer = encoder.tokenizer(["the film"])
    tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "tokenizer.json").is_file()
    checkpoint = encoder.checkpoint(len(tokenizer), 2, 0)
    assert checkpoint.architecture == tiny_model(tiny_task()).architecture


def test_a_tiny_task_with_more_classes_has_an_encoder(tmp_path: Path) -> None:
    assert TinyTestEncoder().checkpoint(23, 3, 0).architecture.classes == 3


def test_a_stage_can_be_named_as_in_yaml(bench: StageRunner) -> None:
    text = (bench.run("copy", name="a").folder / "text").read_text()
    assert text == (bench.run({"kind": "copy"}, name="a").folder / "text").read_text() == "a0 "
    assert (bench.run({"kind": "copy", "seed": 7}, name="a").folder / "text").read_text() == "a7 "
    with pytest.raises(UserError, match="unknown stage 'copi'; did you mean 'copy'"):
        bench.run("copi")


def test_a_stage_is_prepared_where_its_inputs_are_known(bench: StageRunner) -> None:
    task = tiny_task(examples=24)
    teacher = bench.run({"kind": "finetune", "train": {"epochs": 1}}, task, name="teacher")
    distill = {"kind": "distill", "model": "t", "teacher": "t", "distillation": "none", "train": {"epochs": 1}}
    student = bench.run(distill, task, model=teacher, teacher=teacher)
    assert not any(name.startswith("teacher/") for name in read_metrics(student.folder))  # prepare() removed it
    unprepared = bench.run(distill, task, model=teacher, teacher=teacher, prepare=False)
    assert "teacher/better_than_majority" in read_metrics(unprepared.folder)
    foreign = evolve(teacher, key="of another runner")
    assert "teacher/better_than_majority" in read_metrics(
        bench.run(distill, task, model=foreign, teacher=foreign).folder
    )
    assert bench.prepared(student).spec == QuantSpec()
    with pytest.raises(UserError, match="was not made by this runner"):
        bench.prepared(foreign)
