"""A small study of fakes that runs in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bebertlab.study.context import StudyContext
from bebertlab.study.driver import Limits
from bebertlab.study.run import Workers, run_study
from bebertlab.study.stored_study import StoredStudy, read_stored_study

if TYPE_CHECKING:
    from tests.study.conftest import Files

_LOCAL = Workers(kind="local", jobs=1, threads=1, device="cpu")


def run_little(files: Files, *sets: str, trials: int | None = None, smoke: bool = True) -> StoredStudy:
    context = StudyContext(files.read(*sets, smoke=smoke), files.folder / "work")
    run_study(context, _LOCAL, lambda study, trials: (), Limits(max_trials=trials))
    return read_stored_study(context.folder)
