from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bebertlab.study.context import StudyContext
from bebertlab.study.driver import Limits
from bebertlab.study.forecast import forecast
from bebertlab.study.run import Workers, run_study

if TYPE_CHECKING:
    from tests.study.conftest import Files
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import YamlDocument
from bebertlab.interfaces.distillation import DistillationOptions, Phase
from bebertlab.pipeline.plan import plan
from bebertlab.pipeline.read import recipe_of
from bebertlab.pipeline.task_cache import TaskCache
from bebertlab.registry.manager import load_plugins
from bebertlab.registry.registry import PluginSource
from bebertlab.store.manifest import Manifest
from bebertlab.study.forecast import Times
from bebertlab.training.labels import LabelsOptions

LOCAL = Workers(kind="local", jobs=1, threads=1, device="cpu")


def run(files: Files, *sets: str, trials: int | None = None) -> None:
    context = StudyContext(files.read(*sets), Path("work"))
    run_study(context, LOCAL, lambda study, trials: (), Limits(max_trials=trials))


def test_observers_get_the_missing_stages(files: Files) -> None:
    notified = []
    run(files, trials=3)
    ahead = forecast(StudyContext(files.read(), Path("work"))).kinds["fake"].missing
    for _ in range(2):
        context = StudyContext(files.read(), Path("work"))
        run_study(context, LOCAL, lambda study, trials: notified.append(study) or (), Limits())  # type: ignore[func-returns-value]
    assert [list(study.missing.values()) for study in notified] == [["fake"] * ahead, []]


def test_the_forecast_equals_the_stages_that_run(files: Files) -> None:
    run(files, trials=3)
    ahead = forecast(StudyContext(files.read(), Path("work")))
    before = len((files.folder / "ran.log").read_text().splitlines())
    run(files)
    after = len((files.folder / "ran.log").read_text().splitlines())
    assert (ahead.trials, ahead.complete) == (14, 3)
    assert ahead.kinds["fake"].missing == after - before
    assert ahead.kinds["fake"].stored == before
    done = forecast(StudyContext(files.read(), Path("work")))
    assert (done.complete, done.kinds["fake"].missing, done.seconds) == (14, 0, 0)


def test_forecasting_has_no_side_effects(files: Files) -> None:
    forecast(StudyContext(files.read(), Path("work")))
    assert not Path("work").exists()


def test_seconds_are_estimated_from_similar_finished_stages(files: Files) -> None:
    ahead = forecast(StudyContext(files.read(), Path("work")))
    assert (ahead.unknown, ahead.missing, ahead.seconds) == (34, 34, 0)
    run(files, "trunk.sleep=0.1", "members.sleep=0.02", "seeds=[0]", "members.ensemble=bagging")
    context = StudyContext(files.read("trunk.sleep=0.1", "members.sleep=0.02"), Path("work"))
    took: dict[str, list[float]] = {}
    for manifest in context.store.manifests():
        took.setdefault(manifest.stage, []).append(manifest.seconds)
    ahead = forecast(context)
    # of the other seed: a trunk, the members of bagging and their scores; other ensembles are not like these
    assert (ahead.missing, ahead.unknown) == (26, 18)
    assert ahead.seconds == pytest.approx(sum(map(sum, took.values())))
    assert forecast(StudyContext(files.read("task.size=5"), Path("work"))).unknown == 34


def test_points_that_a_sampler_will_draw_are_not_forecast(files: Files) -> None:
    sets = ("sampler=random", "sampler.trials=5", "exclude=[]", "seeds=[0]", "sampler.batch=2")
    ahead = forecast(StudyContext(files.read(*sets), Path("work")))
    assert (ahead.trials, ahead.undrawn, ahead.kinds) == (0, 5, {})
    run(files, *sets, trials=1)
    ahead = forecast(StudyContext(files.read(*sets), Path("work")))
    assert (ahead.trials, ahead.undrawn, ahead.complete) == (2, 3, 1)


PHASE: dict[str, Any] = {"name": "all", "epochs": None}


def parts(
    *,
    train: dict[str, Any] | None = None,
    scheme: str = "bwn",
    phases: list[dict[str, Any]] | None = None,
    seed: int = 0,
    size: int = 400,
    hidden: int = 64,
    threads: int = 1,
    inputs: dict[str, list[str]] | None = None,
) -> dict[str, Any]:
    options = {"scheme": scheme, "train": {"epochs": 2, "learning_rate": 0.1, "batch_size": 32, **(train or {})}}
    return {
        "stage": {"kind": "distill", "options": options},
        "made_of": {"options": {"distillation()": phases or [PHASE]}},
        "seed": seed,
        "task": {"options": {"size": size}, "digest": f"of {size}"},
        "encoder": {"options": {"hidden": hidden}, "digest": ""},
        "machine": {"threads": threads},
        "inputs": inputs or {},
    }


def guess(
    asked: dict[str, Any],
    *stored: tuple[dict[str, Any], float],
    also: dict[str, Any] | None = None,
    metrics: dict[str, float] | None = None,
) -> object:
    manifests = [
        Manifest(key=f"s{index}", stage="s", kind="distill", parts=item, seconds=seconds, metrics=metrics or {})
        for index, (item, seconds) in enumerate(stored)
    ]
    return Times.of(manifests, {**(also or {}), "asked": asked}).guess("asked")


def test_stages_differing_in_seed_and_learning_rate_are_averaged() -> None:
    stored = [(parts(seed=seed, train={"learning_rate": 0.1 * (1 + seed)}), 4.0 + seed) for seed in (0, 2)]
    assert guess(parts(seed=7), *stored) == 5.0


@pytest.mark.parametrize(
    "other",
    [
        {"scheme": "twn"},
        {"size": 4000},
        {"hidden": 256},
        {"threads": 2},
        {"train": {"batch_size": 16}},
        {"train": {"precision": "bf16"}},
        {"phases": [PHASE, PHASE]},
        {"inputs": {"teacher": ["0"]}},
    ],
)
def test_no_estimate_where_seconds_may_differ(other: dict[str, Any]) -> None:
    assert guess(parts(**other), (parts(), 4.0)) is None
    assert guess(parts(**other), (parts(**other), 4.0)) == 4.0


def test_seconds_scale_with_the_epochs() -> None:
    assert guess(parts(train={"epochs": 6}), (parts(), 4.0), (parts(train={"epochs": 1}), 4.0)) == (12.0 + 24.0) / 2
    assert guess(parts(train={"epochs": 6}), (parts(), 4.0), (parts(train={"epochs": 6}), 11.0)) == 11.0
    assert guess(parts(train={"epochs": 6}), (parts(), 4.0), metrics={"train/seconds": 3.0}) == 1.0 + 9.0


def test_an_untrained_member_is_not_used_for_estimates() -> None:
    assert guess(parts(seed=1), (parts(), 0.1), metrics={"train/seconds": 0.0, "train/steps": 0.0}) is None


@pytest.mark.parametrize(("phase_epochs", "seconds"), [(None, 12.0), (1, None)])
def test_the_phases_of_a_planned_stage_are_read(phase_epochs: int | None, seconds: float | None) -> None:
    @frozen(kw_only=True)
    class Phased(DistillationOptions):
        """One phase."""

        kind = "phased"

        def phases(self) -> tuple[Phase, ...]:
            return (Phase(name="all", losses=(LabelsOptions(),), epochs=phase_epochs),)

    registry = load_plugins([]).registry.extended(
        ((DistillationOptions, Phased),), PluginSource(plugin="test", distribution="test 1")
    )
    codec = OptionsCodec(registry)

    def planned(epochs: int) -> Mapping[str, Any]:
        train = {"epochs": epochs}
        recipe = {
            "task": {"kind": "minigrammar", "size": 20, "select_size": 4, "validation_size": 4},
            "encoder": {"kind": "tiny"},
            "stages": {
                "teacher": "finetune",
                "student": {"kind": "distill", "model": "teacher", "distillation": "phased", "train": train},
            },
        }
        return plan(recipe_of(YamlDocument.of(recipe), codec), TaskCache(codec), codec).nodes["student"].parts

    assert guess(dict(planned(6)), (dict(planned(2)), 4.0)) == seconds


def test_seconds_do_not_scale_with_epochs_that_a_phase_sets() -> None:
    phases = [PHASE, {"name": "last", "epochs": 1}]
    assert guess(parts(train={"epochs": 6}, phases=phases), (parts(phases=phases), 4.0)) is None
    assert guess(parts(phases=phases, seed=1), (parts(phases=phases), 4.0)) == 4.0


def test_evaluated_models_need_the_same_shape_but_not_the_same_training() -> None:
    def reads(key: str) -> dict[str, Any]:
        return parts(inputs={"model": [key]})

    near, far = parts(train={"epochs": 9, "batch_size": 8}, seed=4), parts(scheme="twn")
    stored = [(parts(), 1.0), (reads("s0"), 4.0)]
    assert guess(reads("near"), *stored, also={"near": near}) == 4.0
    assert guess(reads("far"), *stored, also={"far": far}) is None
    assert guess(reads("gone"), *stored) is None
    deep = {"near": near, "between": reads("near")}
    assert guess(reads("between"), *stored, (reads("s1"), 7.0), also=deep) == 7.0


def test_a_stage_that_does_not_train_needs_the_same_options() -> None:
    item, other = parts(), parts()
    for part, width in ((item, 0.5), (other, 0.25)):
        part["stage"] = {"kind": "slice", "options": {"width": width}}
    assert guess(item, (item, 2.0)) == 2.0
    assert guess(item, (other, 2.0)) is None
