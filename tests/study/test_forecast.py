from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bebertlab.study.forecast import forecast
from bebertlab.study.job import Limits
from bebertlab.study.run import Workers, run_study
from bebertlab.study.session import Session

if TYPE_CHECKING:
    from tests.study.conftest import Files

LOCAL = Workers(kind="local", jobs=1, threads=1, device="cpu")


def run(files: Files, *sets: str, trials: int | None = None) -> None:
    session = Session(files.read(*sets), Path("work"))
    run_study(session, LOCAL, lambda study, trials: (), Limits(max_trials=trials))


def test_observers_are_told_what_is_to_be_made(files: Files) -> None:
    told = []
    run(files, trials=3)
    ahead = forecast(Session(files.read(), Path("work"))).kinds["fake"].missing
    for _ in range(2):
        session = Session(files.read(), Path("work"))
        run_study(session, LOCAL, lambda study, trials: told.append(study) or (), Limits())  # type: ignore[func-returns-value]
    assert [list(study.missing.values()) for study in told] == [["fake"] * ahead, []]


def test_what_is_ahead_is_what_then_happens(files: Files) -> None:
    run(files, trials=3)
    ahead = forecast(Session(files.read(), Path("work")))
    before = len((files.folder / "ran.log").read_text().splitlines())
    run(files)
    after = len((files.folder / "ran.log").read_text().splitlines())
    assert (ahead.trials, ahead.complete) == (14, 3)
    assert ahead.kinds["fake"].missing == after - before
    assert ahead.kinds["fake"].stored == before
    done = forecast(Session(files.read(), Path("work")))
    assert (done.complete, done.kinds["fake"].missing, done.seconds) == (14, 0, 0)


def test_nothing_is_changed(files: Files) -> None:
    forecast(Session(files.read(), Path("work")))
    assert not Path("work").exists()


def test_time_is_that_of_like_stages_before(files: Files) -> None:
    ahead = forecast(Session(files.read(), Path("work")))
    assert (ahead.unknown, ahead.missing, ahead.seconds) == (34, 34, 0)
    run(files, "trunk.sleep=0.1", "members.sleep=0.02", "seeds=[0]", "members.ensemble=bagging")
    session = Session(files.read("trunk.sleep=0.1", "members.sleep=0.02"), Path("work"))
    took: dict[str, list[float]] = {}
    for manifest in session.store.manifests():
        took.setdefault(manifest.stage, []).append(manifest.seconds)
    ahead = forecast(session)
    # of the other seed: a trunk, the members of bagging and their scores; other ensembles are not like these
    assert (ahead.missing, ahead.unknown) == (26, 18)
    assert ahead.seconds == pytest.approx(sum(map(sum, took.values())))
    assert forecast(Session(files.read("task.size=5"), Path("work"))).unknown == 34


def test_what_a_sampler_will_draw_is_not_known(files: Files) -> None:
    sets = ("sampler=random", "sampler.trials=5", "exclude=[]", "seeds=[0]", "sampler.batch=2")
    ahead = forecast(Session(files.read(*sets), Path("work")))
    assert (ahead.trials, ahead.undrawn, ahead.kinds) == (0, 5, {})
    run(files, *sets, trials=1)
    ahead = forecast(Session(files.read(*sets), Path("work")))
    assert (ahead.trials, ahead.undrawn, ahead.complete) == (2, 3, 1)
