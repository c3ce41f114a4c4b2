from __future__ import annotations

import torch

from bebertlab.interfaces.training_state import TrainingState


def test_parts_of_a_joined_state_are_separate() -> None:
    inner = TrainingState(tensors={"a": torch.ones(1), "ab/c": torch.zeros(2)}, data={"step": 3})
    other = TrainingState(data={"x": [1.5]})
    joined = TrainingState.joined({"run": inner, "runs": other}, count=2)
    assert joined.data == {"count": 2, "run": {"step": 3}, "runs": {"x": [1.5]}}
    assert joined.part("run").tensors.keys() == {"a", "ab/c"}
    assert joined.part("run").data == {"step": 3}
    assert joined.part("runs").tensors == {}
    nested = TrainingState.joined({"outer": joined})
    assert torch.equal(nested.part("outer").part("run").tensors["ab/c"], torch.zeros(2))
