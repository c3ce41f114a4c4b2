from __future__ import annotations

from bebertlab.errors import SetupError, UserError, suggestion, unknown


def test_setup_errors_and_user_errors_have_different_exit_codes() -> None:
    assert (UserError.exit_code, SetupError.exit_code) == (2, 3)


def test_a_distant_name_lists_the_known_names_without_a_suggestion() -> None:
    assert suggestion("ensemble", ["lsq", "bwn"]) == "known: bwn, lsq"


def test_an_unknown_name_has_role_name_and_suggestion() -> None:
    assert str(unknown("task", "glu", ["glue"])) == "unknown task 'glu'; did you mean 'glue'? (known: glue)"
