from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.stage import Codec, PlannedModel, Planning, StageOptions, TokenizerSource
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab.training.labels import LabelsOptions
from bebertlab.training.options import TrainOptions
from bebertlab.training.teaching import check_teacher
from bebertlab_binarybert.losses import HiddenDistanceOptions, Prediction

TASK = tiny_task()
TAPS = (
    Phase(name="logits", losses=(Prediction(),)),
    Phase(name="inner", losses=(Prediction(), HiddenDistanceOptions())),
)
LOGITS = (Phase(name="logits", losses=(Prediction(), LabelsOptions())),)


def planned(name: str, tokens: int = 32, key: str = "", normalizer: str = "n", **sizes: Any) -> PlannedModel:  # noqa: ANN401
    source = TokenizerSource(name=f"folder {name}", key=key or name, parts=lambda: {"normalizer": normalizer})
    architecture: Architecture = evolve(tiny_model(TASK).architecture, **sizes)
    return PlannedModel(tokenizer=source, maximum_tokens=tokens, architecture=architecture)


def check(
    student: PlannedModel | None,
    teacher: PlannedModel | None,
    phases: tuple[Phase, ...] = TAPS,
    teacher_dropout: bool = False,
) -> None:
    check_teacher(("start", student), ("teach", teacher), phases, TrainOptions(teacher_dropout=teacher_dropout), TASK)


def test_models_of_one_architecture_are_accepted() -> None:
    check(planned("a"), planned("b"))
    check(planned("a"), planned("b"), teacher_dropout=True)


def test_other_tokens_are_refused_where_inner_layers_are_compared() -> None:
    with pytest.raises(
        UserError, match=r"teacher 'teach' and model 'start' make other tokens.*: folder b and folder a"
    ):
        check(planned("a"), planned("b", normalizer="m"))
    with pytest.raises(
        UserError, match=r"differ in normalizer, and phase 'inner' compares inner layers \(hidden\) token by"
    ):
        check(planned("a"), planned("b", normalizer="m"))
    with pytest.raises(UserError, match=r"differ in normalizer, and with train\.teacher_dropout"):
        check(planned("a"), planned("b", normalizer="m"), LOGITS, teacher_dropout=True)


def test_a_teacher_of_logits_may_have_any_architecture() -> None:
    check(planned("a"), planned("b", normalizer="m", positions=8, hidden=8, layers=3, heads=1), LOGITS)


def test_a_tokenizer_with_the_same_key_is_not_read() -> None:
    item, other = planned("a", key="k"), planned("b", key="k")
    unread = evolve(other.tokenizer, parts=lambda: pytest.fail("read"))
    check(item, evolve(other, tokenizer=unread))


def test_a_shorter_teacher_is_refused_where_inner_layers_are_compared() -> None:
    check(planned("a", tokens=16), planned("b", positions=16))
    with pytest.raises(UserError, match="'start' reads up to 17 tokens, teacher 'teach' has 16 positions, and phase"):
        check(planned("a", tokens=17), planned("b", positions=16))


def test_sizes_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"teacher 'teach' and model 'start' cannot be compared: loss 'hidden': .*width"
    ):
        check(planned("a"), planned("b", hidden=8))
    with pytest.raises(UserError, match="3 layers are not a multiple of the student's 2"):
        check(planned("a"), planned("b", layers=3))


def test_unknown_properties_are_checked_at_run_time() -> None:
    short = planned("b", normalizer="m", positions=2)
    check(None, short)
    check(planned("a"), None)
    check(planned("a"), evolve(planned("b", hidden=8), architecture=None))
    check(evolve(planned("a"), architecture=None), planned("b", hidden=8))


@pytest.mark.parametrize("kind", ["distill", "member"])
def test_stages_check_their_teacher_when_they_are_planned(
    codec: Codec, planned_teacher: PlannedModel, planning: Planning, kind: str
) -> None:
    ensemble = {"ensemble": "bagging"} if kind == "member" else {}
    data = {"kind": kind, "model": "m", "teacher": "t", "distillation": "two-stage", **ensemble}
    stage = codec.load(data, StageOptions)  # type: ignore[type-abstract]
    same = (planned_teacher,)
    assert stage.plan_model({"model": same, "teacher": same}, planning) is planned_teacher
    assert planned_teacher.architecture is not None
    wide = evolve(planned_teacher, architecture=evolve(planned_teacher.architecture, hidden=32))
    with pytest.raises(UserError, match="teacher 't' and model 'm' cannot be compared"):
        stage.plan_model({"model": same, "teacher": (wide,)}, planning)
    alone = codec.load({**data, "teacher": None, "distillation": "none"}, StageOptions)  # type: ignore[type-abstract]
    assert alone.plan_model({"model": same}, planning) is planned_teacher
