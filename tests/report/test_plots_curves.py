from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.interfaces.events import StageResult
from bebertlab.report.plots_curves import (
    Curve,
    CurveGroup,
    StageCurve,
    curve_of,
    curves_plot,
    group_curves,
    stored_curves,
)
from bebertlab.store.store import Store
from bebertlab.training.curve import EvaluationPoint, LearningCurve, PhaseCurve, TrainingPoint, write_learning_curve

if TYPE_CHECKING:
    from tests.report.conftest import Simulate

CURVE = Curve(losses=((1, 2.0), (10, 1.0)), scores=((10, 50.0),))


def _texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def _lines(svg: str) -> int:
    return len(re.findall(r'id="line2d', svg))


def test_curves_are_grouped_by_kind_and_each_artifact_is_read_once(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0,))
    keys: list[str] = []

    def read(stage: StageResult) -> Curve | None:
        keys.append(stage.key)
        return CURVE if stage.stage_kind in ("finetune", "distill", "member") else None

    groups = {group.kind: group for group in group_curves(study, trials, read)}
    assert len(keys) == len(set(keys))
    assert list(groups) == ["finetune", "distill", "member"]
    assert groups["distill"].stages == ("half_teacher", "ternary", "binary")
    # the stages of members depend on the ensemble, those before do not
    assert {curve.label for curve in groups["distill"].curves} == {""}
    assert {curve.label for curve in groups["member"].curves} == {"single", "bagging", "boosting"}
    assert {curve.stage for curve in groups["member"].curves} == {"members"}
    assert (groups["member"].option, len(groups["finetune"].curves)) == ("ensemble", 1)


def test_without_a_reader_or_curves_there_are_no_groups(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0,))
    assert group_curves(study, trials, None) == ()
    assert group_curves(study, trials, lambda stage: Curve()) == ()


def _group(count: int, *, stages: int = 1, label: str = "bagging") -> CurveGroup:
    curves = (
        StageCurve(
            label=label,
            stage=f"stage{stage}",
            curve=Curve(losses=tuple((step, 1.0 / (step + number + 1)) for step in range(0, 500, 3 + number))),
        )
        for stage in range(stages)
        for number in range(count)
    )
    return CurveGroup(kind="member", option="ensemble", curves=tuple(curves))


def test_many_trainings_are_one_line_with_a_band() -> None:
    few, many = (curves_plot(_group(count), "plot") for count in (2, 40))
    assert _lines(few) == _lines(many)
    assert "FillBetweenPolyCollection" in many or "PolyCollection" in many
    assert "PolyCollection" not in curves_plot(_group(1), "plot")


def test_a_row_for_each_stage_names_what_is_drawn() -> None:
    texts = _texts(curves_plot(_group(2, stages=2), "plot"))
    assert {"stage0: training loss", "stage1: training loss", "select/score", "optimizer step"} <= set(texts)
    assert {"ensemble", "bagging"} <= set(texts)
    assert "bagging" not in _texts(curves_plot(_group(2, label=""), "plot"))


def test_the_caption_counts_trainings_and_stages_that_are_not_shown() -> None:
    assert _group(3).caption == "Stages of kind member: means and ranges of 3 trainings."
    crowded = _group(1, stages=8)
    assert crowded.caption == "Stages of kind member: means and ranges of 8 trainings. 2 further stages not shown."
    assert "stage6: training loss" not in _texts(curves_plot(crowded, "plot"))


def test_curves_of_other_lengths_are_averaged_where_they_are_known() -> None:
    short = StageCurve(label="", stage="s", curve=Curve(losses=((0, 1.0), (10, 0.5)), scores=((5, 50.0), (10, 60.0))))
    long = evolve(short, curve=Curve(losses=((0, 3.0), (20, 0.5))))
    assert _lines(curves_plot(CurveGroup(kind="k", option="", curves=(short, long)), "plot"))


RECORDED = LearningCurve(
    phases=(
        PhaseCurve(
            name="hidden",
            steps=2,
            epochs=1.0,
            training=(TrainingPoint(step=2, epoch=1.0, learning_rate=0.1, loss=3.0),),
            evaluations=(EvaluationPoint(step=2, epoch=1.0, value=0.5),),
            measure="loss",
        ),
        PhaseCurve(
            name="labels",
            steps=2,
            epochs=1.0,
            training=(TrainingPoint(step=4, epoch=2.0, learning_rate=0.1, loss=2.0),),
            evaluations=(
                EvaluationPoint(step=3, epoch=1.5, value=math.nan),
                EvaluationPoint(step=4, epoch=2.0, value=70.0),
            ),
        ),
    )
)


def test_a_recorded_curve_has_the_losses_and_scores_of_all_phases() -> None:
    curve = curve_of(RECORDED)
    assert (curve.losses, curve.scores) == (((2, 3.0), (4, 2.0)), ((4, 70.0),))


def test_curves_are_read_from_the_store(tmp_path: Path) -> None:
    stages = [StageResult(stage=name, stage_kind="distill", key=name * 64) for name in "abc"]
    for stage in stages[:2]:
        folder = Store(tmp_path / "store").folder(stage.key)
        folder.mkdir(parents=True)
        write_learning_curve(RECORDED, folder)
    (Store(tmp_path / "store").folder(stages[1].key) / "learning_curve.json").write_text("{")
    read = stored_curves(tmp_path)
    stored, damaged, missing = map(read, stages)
    assert stored is not None
    assert stored.losses == curve_of(RECORDED).losses
    assert damaged is None
    assert missing is None
