from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from bebertlab.errors import UserError
from bebertlab.training.curve import (
    LEARNING_CURVE_FILE,
    POINTS,
    CurveRecorder,
    EvaluationPoint,
    LearningCurve,
    PhaseCurve,
    TrainingPoint,
    read_learning_curve,
    write_learning_curve,
)


def recorded(steps: int, *, epoch_steps: int = 1000) -> CurveRecorder:
    """A recorder after so many steps, whose loss is the number of the step."""
    recorder = CurveRecorder("p", steps=steps, epoch_steps=epoch_steps)
    for step in range(1, steps + 1):
        recorder.add_step(float(step), [("a", step / 4), ("b", 3 * step / 4)], 1.0 / step)
    return recorder


def test_short_phases_have_a_point_for_every_step() -> None:
    (phase,) = recorded(5, epoch_steps=2).curve().phases
    assert [point.step for point in phase.training] == [1, 2, 3, 4, 5]
    assert [point.loss for point in phase.training] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert phase.training[2].terms == {"a": 0.75, "b": 2.25}
    assert phase.training[2].epoch == 1.5
    assert (phase.steps, phase.epochs) == (5, 2.5)


@pytest.mark.parametrize("steps", [POINTS - 1, POINTS, POINTS + 1, 1999, 12345])
def test_long_phases_have_means_over_equal_parts(steps: int) -> None:
    (phase,) = recorded(steps).curve().phases
    ends = [point.step for point in phase.training]
    assert len(ends) == min(steps, POINTS)
    assert ends[-1] == steps
    starts = [0, *ends[:-1]]
    for point, start in zip(phase.training, starts, strict=True):
        assert point.loss == pytest.approx((start + 1 + point.step) / 2)
        assert point.terms == pytest.approx({"a": point.loss / 4, "b": 3 * point.loss / 4})
        assert point.learning_rate == 1.0 / point.step


def test_the_last_and_the_kept_evaluation_survive_thinning() -> None:
    recorder = recorded(5000)
    for number in range(1, 1001):
        recorder.add_evaluation(5 * number, float(number == 438), "score", best=number in (1, 438))
    (phase,) = recorder.curve().phases
    assert POINTS - 1 <= len(phase.evaluations) <= POINTS
    assert phase.evaluations[-1].step == 5000
    assert [point for point in phase.evaluations if point.kept] == [
        EvaluationPoint(step=5 * 438, epoch=2.19, value=1.0, kept=True)
    ]


CURVE = LearningCurve(
    phases=(
        PhaseCurve(
            name="inner",
            steps=2,
            epochs=1.0,
            training=(
                TrainingPoint(step=1, epoch=0.5, learning_rate=0.0, loss=2.25, terms={"hidden": 2.0, "scores": 0.25}),
                TrainingPoint(step=2, epoch=1.0, learning_rate=5e-05, loss=1.5, terms={"hidden": 1.25, "scores": 0.25}),
            ),
            evaluations=(EvaluationPoint(step=2, epoch=1.0, value=0.125, kept=True),),
            measure="loss",
        ),
        PhaseCurve(
            name="prediction",
            steps=1,
            epochs=0.5,
            training=(TrainingPoint(step=3, epoch=1.5, learning_rate=1e-05, loss=0.5),),
        ),
    )
)


def test_a_curve_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_learning_curve(CURVE, tmp_path)
    assert read_learning_curve(tmp_path) == CURVE
    data = json.loads((tmp_path / LEARNING_CURVE_FILE).read_text())
    assert data["format"] == 1
    assert data["units"]["epoch"] == "epochs since the stage began"
    assert data["phases"][0]["training"]["terms"] == {"hidden": [2.0, 1.25], "scores": [0.25, 0.25]}


def test_values_that_are_not_finite_survive(tmp_path: Path) -> None:
    point = EvaluationPoint(step=2, epoch=1.0, value=math.nan)
    phase = PhaseCurve(name="p", steps=2, epochs=1.0, training=(), evaluations=(point,))
    write_learning_curve(LearningCurve(phases=(phase,)), tmp_path)
    curve = read_learning_curve(tmp_path)
    assert curve is not None
    assert math.isnan(curve.phases[0].evaluations[0].value)


def test_the_file_stays_small(tmp_path: Path) -> None:
    recorder = CurveRecorder("p", steps=100_000, epoch_steps=1234)
    for step in range(100_000):
        recorder.add_step(1 / 3, [("a", 1 / 7), ("b", 4 / 21)], 5e-5 / (step + 1))
    for number in range(1, 1000):
        recorder.add_evaluation(100 * number, 100 / 3 + number / 1000, "score", best=True)
    write_learning_curve(recorder.curve(), tmp_path)
    assert (tmp_path / LEARNING_CURVE_FILE).stat().st_size < 20_000


def test_stages_without_a_curve_have_none(tmp_path: Path) -> None:
    assert read_learning_curve(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 2, "phases": []}', "newer bebertlab .format 2, this version reads 1."),
        ("{", "not a valid learning curve"),
        ("[]", "not a valid learning curve"),
        ('{"format": 1, "phases": [{"name": "p"}]}', "not a valid learning curve"),
        ('{"format": 1, "phases": [{"name": "p", "steps": Infinity}]}', "not a valid learning curve"),
        (
            '{"format": 1, "phases": [{"name": "p", "steps": 1, "epochs": 1, "select": {"measure": "score"}, '
            '"training": {"step": ["1"], "epoch": [1], "learning_rate": [0], "loss": [0], "terms": {}}}]}',
            "expected a number, got '1'",
        ),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / LEARNING_CURVE_FILE).write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_learning_curve(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / LEARNING_CURVE_FILE))
    assert "\n" not in str(caught.value)


def test_consecutive_trainings_give_one_curve() -> None:
    first, second = recorded(4, epoch_steps=2), recorded(2, epoch_steps=2)
    second.add_evaluation(2, 0.5, "score", best=True)
    curve = LearningCurve.joined([first.curve(), second.curve()])
    assert [point.step for phase in curve.phases for point in phase.training] == [1, 2, 3, 4, 5, 6]
    assert [point.epoch for phase in curve.phases for point in phase.training] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert curve.phases[1].evaluations == (EvaluationPoint(step=6, epoch=3.0, value=0.5, kept=True),)
    assert LearningCurve.joined([]) == LearningCurve(phases=())


def test_a_single_evaluation_gets_the_final_score() -> None:
    scored = CURVE.with_final_score(81.5)
    assert scored.phases[0] == CURVE.phases[0]
    assert scored.phases[1].evaluations == (EvaluationPoint(step=3, epoch=1.5, value=81.5, kept=True),)
    assert scored.with_final_score(1.0) == scored
    assert LearningCurve(phases=()).with_final_score(1.0) == LearningCurve(phases=())
