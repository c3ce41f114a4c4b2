from __future__ import annotations

from bebertlab.cli.main_metrics import main_metrics


def test_scores_costs_and_metrics_of_plugins_are_groups() -> None:
    names = [
        *("select/score", "select/ece", "validation/score", "validation_mismatched/score"),
        *("width_0.5/validation/score", "majority/validation_score", "variety/validation", "truncated/train"),
        *("overlap/train_select_same", "mine/number", "cost/seconds", "cost/student_seconds", "size/total_mebibytes"),
    ]
    assert main_metrics(names) == [
        ["select/score", "select/ece"],
        ["validation/score"],
        ["validation_mismatched/score"],
        ["width_0.5/validation/score"],
        ["size/total_mebibytes", "cost/seconds"],
        ["mine/number"],
    ]


def test_without_main_metrics_all_are_shown() -> None:
    assert main_metrics(["member/kept", "member/weight"]) == [["member/kept", "member/weight"]]
    assert main_metrics([]) == [[]]
