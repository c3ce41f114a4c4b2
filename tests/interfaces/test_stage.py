from __future__ import annotations

from pathlib import Path

import pytest
from attrs import field, frozen

from bebertlab.interfaces.stage import (
    EXCLUDED_FROM_KEY,
    Artifact,
    Context,
    Inputs,
    StageOptions,
    excluded_fields,
    input_fields,
    input_names,
    stage_input,
)


@frozen(kw_only=True)
class Distill(StageOptions):
    kind = "distill"
    model: str = stage_input()
    teacher: str | None = stage_input(optional=True)
    epochs: int = 1

    def run(self, inputs: Inputs, context: Context) -> None:
        raise NotImplementedError


def artifact(stage: str) -> Artifact:
    return Artifact(stage=stage, key="k", folder=Path(), seconds=0.0)


def test_inputs_are_the_marked_fields_that_are_set() -> None:
    assert input_names(Distill(model="half")) == {"model": ("half",)}
    assert input_names(Distill(model="half", teacher="full")) == {"model": ("half",), "teacher": ("full",)}


def test_an_input_is_required_unless_it_is_optional() -> None:
    with pytest.raises(TypeError, match="model"):
        Distill()


def test_paths_are_the_marked_fields() -> None:
    @frozen(kw_only=True)
    class Load(Distill):
        kind = "load"
        folder: Path = field(metadata=EXCLUDED_FROM_KEY)

    assert (excluded_fields(Load), excluded_fields(Distill)) == (("folder",), ())
    assert "folder" not in input_fields(Load)
    with pytest.raises(TypeError, match="folder"):
        Load(model="half")  # type: ignore[call-arg] # that is what is tested


def test_inputs_give_one_artifact_or_many() -> None:
    first, second = artifact("m.0"), artifact("m.1")
    inputs = Inputs(artifacts={"model": (first,), "members": (first, second)})
    assert inputs.one("model") is first
    assert inputs.many("members") == (first, second)
    assert inputs.many("teacher") == ()
    with pytest.raises(ValueError, match="too many values"):
        inputs.one("members")
