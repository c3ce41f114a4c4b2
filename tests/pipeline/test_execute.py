from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from attrs import evolve

from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.events import StageEvent, StageFinished, StageProgress, StageStarted
from bebertlab.interfaces.stage import Context, Inputs, StageOptions
from bebertlab.interfaces.task import Answers, Metric
from bebertlab.pipeline.execute import Results, StageError, execute, missing_stages, warm_up
from bebertlab.pipeline.paths import set_value
from bebertlab.pipeline.plan import ComputeSettings, Plan, plan
from bebertlab.pipeline.read import recipe_of
from bebertlab.store.store import Store

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy

ALL = ["teacher", "student", "team.0", "team.1", "score"]


class Run:
    """One execution and its events."""

    def __init__(
        self, toy: Toy, machine: ComputeSettings | None = None, targets: tuple[str, ...] = (), **settings: object
    ) -> None:
        self.toy = toy
        self.events: list[StageEvent] = []
        self.plan = planned(toy, machine, **settings)
        # a separate store object, as in another process
        self.store = Store(toy.store.root)
        self.results: Results = execute(
            self.plan, self.store, toy.codec, notify=self.events.append, trial=7, targets=targets
        )

    def finished(self, *, stored: bool = False) -> list[str]:
        return [event.stage for event in self.events if isinstance(event, StageFinished) and event.stored is stored]

    @property
    def ran(self) -> list[str]:
        return [event.stage for event in self.events if isinstance(event, StageStarted)]


def planned(toy: Toy, machine: ComputeSettings | None = None, **settings: object) -> Plan:
    document = toy.document()
    for text, value in settings.items():
        document = set_value(document, text.replace("__", "."), value, "--set", toy.registry)
    return plan(recipe_of(document, toy.codec), toy.materials, toy.codec, machine)


def folder(run: Run, name: str) -> Path:
    return run.toy.store.folder(run.plan.nodes[name].key)


def test_every_stage_is_built_once_and_in_order(toy: Toy) -> None:
    run = Run(toy)
    assert run.ran == ALL
    assert run.finished() == ALL
    assert (folder(run, "score") / "text").read_text() == "3(3(3(3(),3())),3(3(3(3(),3()))))"
    assert run.results.metrics["inputs"] == 2
    again = Run(toy)
    assert again.ran == []
    assert again.finished(stored=True) == ALL
    assert again.results.metrics == run.results.metrics


def test_events_have_the_seconds_and_metrics_of_a_stage(toy: Toy) -> None:
    run = Run(toy)
    progress = [event for event in run.events if isinstance(event, StageProgress)]
    assert {(event.stage, event.fraction, event.text) for event in progress} == {(name, 0.5, "half") for name in ALL}
    assert {event.trial for event in run.events} == {7}
    last = run.results.stages[-1]
    assert (last.stage, last.stage_kind, last.stored, last.metrics) == ("score", "count", False, {"inputs": 2.0})
    assert last.seconds > 0
    assert [event.stage for event in run.results.stages] == ALL


def test_warnings_of_a_stage_are_kept_with_it(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = toy.registry.find("stage", "make")
    make = stage.run  # type: ignore[attr-defined] # a stage

    def warn(self: StageOptions, inputs: Inputs, context: Context) -> None:
        make(self, inputs, context)
        for text in ("texts are cut", "no class names", "texts are cut"):
            context.warn(text)

    monkeypatch.setattr(stage, "run", warn)
    first, again = Run(toy), Run(toy)
    for run in (first, again):
        warned = {event.stage: event.warnings for event in run.results.stages}
        assert warned["teacher"] == ("texts are cut", "no class names")
        assert warned["student"] == ()
    assert again.ran == []


def test_progress_without_values_is_throttled(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: object, inputs: object, context: Any) -> None:  # noqa: ANN401 - a context
        for step in range(1000):
            context.progress(step / 1000, "")

    monkeypatch.setattr(toy.registry.find("stage", "make"), "run", run)
    events = Run(toy, targets=("teacher",)).events
    assert sum(isinstance(event, StageProgress) for event in events) < 5


def test_every_progress_with_values_is_reported(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: object, inputs: object, context: Context) -> None:
        for step in range(3):
            context.progress(step / 3, "epoch 1/1", {"train/loss": 3.0 - step}, step=step, epoch=step / 3)

    monkeypatch.setattr(toy.registry.find("stage", "make"), "run", run)
    events = [event for event in Run(toy, targets=("teacher",)).events if isinstance(event, StageProgress)]
    assert [(event.step, event.epoch, event.values) for event in events] == [
        (0, 0.0, {"train/loss": 3.0}),
        (1, 1 / 3, {"train/loss": 2.0}),
        (2, 2 / 3, {"train/loss": 1.0}),
    ]
    assert {(event.text, event.trial) for event in events} == {("epoch 1/1", 7)}


@pytest.mark.parametrize("value", [np.float32(0.5), torch.tensor(0.5)])
def test_values_of_progress_are_plain_numbers(toy: Toy, monkeypatch: pytest.MonkeyPatch, value: Any) -> None:  # noqa: ANN401
    def run(self: object, inputs: object, context: Context) -> None:
        context.progress(0.5, "", {"train/loss": value}, step=1)

    monkeypatch.setattr(toy.registry.find("stage", "make"), "run", run)
    (event,) = (event for event in Run(toy, targets=("teacher",)).events if isinstance(event, StageProgress))
    assert [(type(number), number) for number in event.values.values()] == [(float, 0.5)]


def test_a_stage_that_reports_no_number_fails(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: object, inputs: object, context: Any) -> None:  # noqa: ANN401 - a context
        context.progress(0.5, "", {"train/loss": "much"}, step=1)

    monkeypatch.setattr(toy.registry.find("stage", "make"), "run", run)
    message = r"^stage teacher \(make\): its progress has train/loss = 'much'; expected a number$"
    with pytest.raises(StageError, match=message):
        Run(toy, targets=("teacher",))


def test_a_change_runs_only_what_depends_on_it(toy: Toy) -> None:
    Run(toy)
    assert Run(toy, team__size=3).ran == ["team.2", "score"]
    assert Run(toy, student__scheme__bits=2).ran == ALL[1:]
    assert Run(toy, seed=5, teacher__seed=3).ran == ALL[1:]


def test_ancestors_of_a_cached_stage_are_not_checked(toy: Toy) -> None:
    first = Run(toy)
    for name in ("teacher", "student", "team.0"):
        (folder(first, name) / "text").write_text("damaged")
    run = Run(toy)
    assert run.ran == []
    assert not toy.store.quarantine.exists()


def test_only_what_is_missing_and_its_inputs_are_needed(toy: Toy) -> None:
    first = Run(toy)
    shutil.rmtree(folder(first, "teacher"))
    assert Run(toy, team__size=3).ran == ["team.2", "score"]


def test_a_damaged_input_is_rebuilt(toy: Toy) -> None:
    first = Run(toy)
    before = (folder(first, "team.1") / "text").read_text()
    (folder(first, "team.1") / "text").write_text("damaged")
    run = Run(toy, team__size=3)
    assert run.ran == ["team.1", "team.2", "score"]
    assert (folder(run, "team.1") / "text").read_text() == before
    assert len(list(toy.store.quarantine.iterdir())) == 1


def test_costs_include_all_ancestors_of_the_result(toy: Toy) -> None:
    run = Run(toy)
    seconds = {event.stage: event.seconds for event in run.results.stages}
    assert run.results.metrics["cost/seconds"] == pytest.approx(sum(seconds.values()))
    assert run.results.metrics["cost/team_seconds"] == pytest.approx(seconds["team.0"] + seconds["team.1"])
    assert run.results.metrics["cost/teacher_seconds"] == seconds["teacher"]


def test_costs_of_removed_stages_are_preserved(toy: Toy) -> None:
    first = Run(toy)
    for name in ("teacher", "student", "team.0", "team.1"):
        shutil.rmtree(folder(first, name))
    assert Run(toy).results.metrics == first.results.metrics


def test_a_stage_that_occurs_twice_is_built_and_counted_once(toy: Toy) -> None:
    text = toy.text.replace("  team:", "  twin: {kind: make}\n  team:").replace("model: student", "model: twin")
    run = Run(evolve(toy, text=text), student__model="twin", team__model="student")
    assert run.ran.count("twin") + run.ran.count("teacher") == 1
    seconds_by_key = {event.key: event.seconds for event in run.results.stages}
    assert run.results.metrics["cost/seconds"] == pytest.approx(sum(seconds_by_key.values()))


def test_a_stage_that_the_named_result_does_not_need_does_not_run(toy: Toy) -> None:
    run = Run(toy, team__model="teacher", result="score")
    assert run.ran == ["teacher", "team.0", "team.1", "score"]
    assert run.plan.left_out(run.plan.ends) == ("student",)


def test_without_a_named_result_every_final_stage_runs(toy: Toy) -> None:
    run = Run(toy, team__model="teacher")
    assert run.ran == ALL
    assert list(run.results.targets) == ["student", "score"]
    assert [metrics["inputs"] for metrics in run.results.targets.values()] == [2, 2]
    assert "cost/team_seconds" not in run.results.targets["student"]
    assert run.plan.left_out(run.plan.ends) == ()
    with pytest.raises(ValueError, match="too many values"):
        _ = run.results.metrics
    assert missing_stages(run.plan, run.store) == set()
    shutil.rmtree(folder(run, "student"))
    assert missing_stages(run.plan, run.store) == {"student"}
    assert Run(toy, team__model="teacher").ran == ["student"]


def test_any_stage_can_be_the_target(toy: Toy) -> None:
    run = Run(toy, targets=("student",))
    assert run.ran == ["teacher", "student"]
    assert run.results.metrics["inputs"] == 2


def test_a_failing_stage_is_named_and_finished_stages_are_kept(toy: Toy) -> None:
    with pytest.raises(StageError, match=r"^stage student \(change\): ZeroDivisionError: a defect$") as caught:
        Run(toy, student__mode="raise")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.exit_code == 1
    assert list(toy.store.temporary.iterdir()) == []
    assert Run(toy, student__mode="fine").ran == ALL[1:]


def test_a_stage_that_exits_has_failed(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def exit_process(self: object, inputs: object, context: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr(toy.registry.find("stage", "make"), "run", exit_process)
    with pytest.raises(StageError, match=r"^stage teacher \(make\): SystemExit: 0$"):
        Run(toy)


def test_user_errors_of_a_stage_keep_message_and_exit_code(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageError, match=r"^stage student \(change\): not with me$") as caught:
        Run(toy, student__mode="refuse")
    assert caught.value.exit_code == UserError.exit_code

    def fail(self: object, inputs: object, context: object) -> None:
        raise SetupError("no space")

    monkeypatch.setattr(toy.registry.find("stage", "make"), "run", fail)
    with pytest.raises(StageError) as environment:
        Run(toy, seed=9)
    assert environment.value.exit_code == SetupError.exit_code


def test_metrics_that_are_no_numbers_are_named(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: object, inputs: object, context: Any) -> None:  # noqa: ANN401 - a context
        (context.folder / "metrics.json").write_text('{"a": "b"}')

    monkeypatch.setattr(toy.registry.find("stage", "make"), "run", run)
    with pytest.raises(StageError, match=r"stage teacher \(make\): .*metrics\.json must be a flat mapping"):
        Run(toy)


def test_stages_get_the_cache_folder_of_the_store(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    caches = set()

    def run(self: object, inputs: object, context: Any) -> None:  # noqa: ANN401 - a context
        caches.add(context.cache)
        (context.folder / "text").write_text("")

    for kind in ("make", "change"):
        monkeypatch.setattr(toy.registry.find("stage", kind), "run", run)
    Run(toy)
    assert caches == {toy.store.cache}


def test_an_interrupt_propagates_and_leaves_no_partial_artifact(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: object, inputs: object, context: Any) -> None:  # noqa: ANN401 - a context
        (context.folder / "text").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(toy.registry.find("stage", "change"), "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Run(toy)
    assert list(toy.store.temporary.iterdir()) == []


def test_stages_run_with_the_threads_of_their_key(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    inner: Callable[..., None] = toy.registry.find("stage", "make").__dict__["run"]

    def run(self: object, inputs: object, context: object) -> None:
        seen.append(torch.get_num_threads())
        inner(self, inputs, context)

    monkeypatch.setattr(toy.registry.find("stage", "make"), "run", run)
    before = torch.get_num_threads()
    Run(toy, ComputeSettings(threads=2))
    assert seen == [2]
    assert torch.get_num_threads() == before


def test_import_time_is_not_a_cost_of_a_stage(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    warmed: list[str] = []
    monkeypatch.setattr("bebertlab.pipeline.execute.warm_up", lambda task: warmed.append(task.name))
    first = Run(toy)
    assert warmed == ["toy"]
    shutil.rmtree(folder(first, "score"))
    Run(toy)
    assert warmed == ["toy"]  # counting needs no training


def test_warming_up_evaluates_the_task(toy: Toy) -> None:
    evaluated: list[bool] = []

    def compute(answers: Answers) -> float:
        evaluated.append(bool((answers.predictions == answers.labels).all()))
        return 1.0

    warm_up(evolve(planned(toy).task, metrics=(Metric(name="accuracy", compute=compute),)))
    assert evaluated == [True]


def test_missing_stages_are_listed_without_side_effects(toy: Toy) -> None:
    done = planned(toy)
    assert missing_stages(done, toy.store) == set(ALL)
    assert not toy.store.root.exists()
    Run(toy)
    assert missing_stages(done, toy.store) == set()
    assert missing_stages(planned(toy, team__size=3), toy.store) == {"team.2", "score"}


def test_changes_of_encoder_files_during_a_run_are_detected(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(toy)
    monkeypatch.setattr(type(plan.recipe.encoder), "digest", lambda self: "other files")
    with pytest.raises(
        StageError, match=r"stage teacher \(make\): the files of encoder 'toy' changed since the recipe"
    ):
        execute(plan, toy.store, toy.codec)
    assert toy.store.get(plan.nodes["teacher"].key) is None
