from __future__ import annotations

from bebertlab.errors import SetupError, UserError, suggestion, unknown


def test_faults_of_the_machine_exit_differently_from_faults_of_the_user() -> None:
    assert (UserError.exit_code, SetupError.exit_code) == (2, 3)


def test_a_far_name_gets_no_guess_but_the_list() -> None:
    assert suggestion("ensemble", ["lsq", "bwn"]) == "known: bwn, lsq"


def test_unknown_says_role_name_and_guess() -> None:
    assert str(unknown("task", "glu", ["glue"])) == "unknown task 'glu'; did you mean 'glue'? (known: glue)"
