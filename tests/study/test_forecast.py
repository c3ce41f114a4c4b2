from __future__ import annotations

from pathlib import Path
from statistics import mean
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


def test_time_is_that_of_such_stages_before(files: Files) -> None:
    assert forecast(Session(files.read(), Path("work"))).unknown == ("fake",)
    run(files, "trunk.sleep=0.1", "members.sleep=0.02", "seeds=[0]", "members.size=2", "members.ensemble=bagging")
    session = Session(files.read("score.rate=2"), Path("work"))
    took = {manifest.stage: manifest.seconds for manifest in session.store.manifests()}
    likely = {"trunk": 2, "members.0": 6, "members.1": 4, "score": 14}  # how many the 7 points and 2 seeds need
    unlike = 8  # members 2 and 3 of which none is stored: taken to be as all of their kind
    expected = sum(count * took[name] for name, count in likely.items()) + unlike * mean(took.values())
    assert forecast(session).kinds["fake"].seconds == pytest.approx(expected)


def test_what_a_sampler_will_draw_is_not_known(files: Files) -> None:
    sets = ("sampler=random", "sampler.trials=5", "exclude=[]", "seeds=[0]", "sampler.batch=2")
    ahead = forecast(Session(files.read(*sets), Path("work")))
    assert (ahead.trials, ahead.undrawn, ahead.kinds) == (0, 5, {})
    run(files, *sets, trials=1)
    ahead = forecast(Session(files.read(*sets), Path("work")))
    assert (ahead.trials, ahead.undrawn, ahead.complete) == (2, 3, 1)
