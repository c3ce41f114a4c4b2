from __future__ import annotations

from bebertlab.bench.groups import INFERENCE, TRAINING

SCHEMES = ("w1a8", "w1a4", "bibert", "bit")
NAMES = (
    ("step", (*SCHEMES, "own")),
    ("step64", (*SCHEMES, "own")),
    ("throughput", ("w1a8", "prediction")),
    ("distillation", ("prediction", "two-stage")),
    ("memory", SCHEMES),
    ("allocations", SCHEMES),
    ("optimizer", ("w1a8",)),
    ("bf16", ("speed", "repeat", "score")),
    ("feeding", ("share", "cache")),
    ("trials", ("side-by-side",)),
    ("gpu", ("members", "epoch", "step")),
    ("compile", ("speed",)),
)


def test_rows_of_training_are_measured_in_this_order() -> None:
    assert [spec.name for group in TRAINING for spec in group.specs] == [
        f"{group}.{member}" for group, members in NAMES for member in members
    ]


def test_rows_of_inference_have_unique_names_and_goals_for_bert_base_only() -> None:
    specs = [spec for group in INFERENCE for spec in group.specs]
    assert len({spec.name for spec in specs}) == len(specs)
    assert all(spec.goal_shape == "base" for spec in specs if spec.goal is not None)
    goals = {spec.name: (spec.better, spec.goal) for spec in specs if spec.goal is not None}
    assert goals["fp32.bibert-128"] == ("higher", 22.0)
    assert goals["int8.w1a4-128"] == ("higher", 1.25)
    assert goals["threads.members"] == ("lower", 1.15)
    assert goals["start.cached"] == ("lower", 1.0)
    assert goals["file.members"] == ("lower", 33.0)


def test_a_quick_run_has_rows_of_every_kind_but_files() -> None:
    quick = {spec.group for group in INFERENCE for spec in group.specs if spec.quick}
    assert quick == {"fp32", "int8", "rival", "kernels", "gemm", "isa", "cascade", "threads", "memory", "start"}
