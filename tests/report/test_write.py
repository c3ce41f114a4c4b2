from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from attrs import evolve

from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.report import summary_table, update_report, write_report

if TYPE_CHECKING:
    from tests.report.conftest import Simulate
from bebertlab.report.caveats import GENERATED
from bebertlab.report.document import Bullets, Note
from bebertlab.report.write import compose


def _write(study: StudyRecord, trials: list[TrialRecord], folder: Path) -> str:
    markdown, html = write_report(study, trials, folder)
    assert (markdown.name, html.name) == ("report.md", "report.html")
    pages = markdown.read_text(encoding="utf-8"), html.read_text(encoding="utf-8")
    assert "None" not in pages[0]
    assert "nan" not in pages[0].split()
    assert summary_table(study, trials)
    return pages[0]


def test_two_pages_and_their_plots(simulate: Simulate, tmp_path: Path) -> None:
    study, trials = simulate()
    page = _write(study, list(trials), tmp_path / "out")
    plots = {path.name for path in (tmp_path / "out" / "plots").iterdir()}
    assert {"points.svg", "answer-1.svg", "pareto-size.svg", "answer-3-curve.svg"} <= plots
    assert all(f"](plots/{name})" in page for name in plots)
    assert not list((tmp_path / "out").glob(".*"))


def test_a_report_is_the_same_for_the_same_trials(simulate: Simulate, tmp_path: Path) -> None:
    study, trials = simulate()
    few = evolve(study, questions=study.questions[2:])
    first, second = (write_report(few, trials[:9], tmp_path / name) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_old_plots_go(simulate: Simulate, tmp_path: Path) -> None:
    study, trials = simulate()
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "old.svg").touch()
    _write(evolve(study, questions=()), list(trials[:1]), tmp_path)
    assert list((tmp_path / "plots").iterdir()) == []


def test_an_interrupted_study_with_failures(
    simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord], tmp_path: Path
) -> None:
    study, trials = simulate()
    states = itertools.cycle([0, 0, 1, 2, 0])
    waiting = [evolve(one, state=TrialState.WAITING, metrics={}, stages=()) for one in trials]
    mixed = [(one, fail(one), waiting[one.number])[state] for one, state in zip(trials, states, strict=False)]
    page = _write(evolve(study, planned=126), mixed, tmp_path)
    assert "25 failed, 25 unfinished" in page
    assert "Failed trials" in page


def test_a_random_search_without_questions(simulate: Simulate, tmp_path: Path) -> None:
    study, trials = simulate()
    rates = np.random.default_rng(0).uniform(1e-4, 1e-2, 42).tolist()
    drawn = [evolve(one, parameters={"train.learning_rate": rates[i // 3]}) for i, one in enumerate(trials)]
    page = _write(evolve(study, axes={"train.learning_rate": ()}, questions=()), drawn, tmp_path)
    assert "learning_rate" in page
    assert "Answers" not in page


def test_nothing_at_all(simulate: Simulate, tmp_path: Path) -> None:
    study, _ = simulate()
    assert "0 of 0 trials complete" in _write(study, [], tmp_path)


def test_answers_come_first(simulate: Simulate) -> None:
    document = compose(*simulate())
    names = [figure.name for figure in document.figures()]
    assert len(names) == len(set(names)) == 7
    titles = [section.title for section in document.sections if section.level == 2]
    assert titles[:3] == ["In short", "Answers", "All points"]
    assert titles[-1] == "How to reproduce"
    short = document.sections[0].blocks[0]
    assert isinstance(short, Bullets)
    assert short.leads[0] == "Does boosting beat bagging and the single model?"
    assert "boosting beats single by 3." in short.items[0]  # names stay as they are written
    assert "Best of 42 points" in short.items[3]
    assert "126 of 126 trials complete" in short.items[4]
    assert "seeds 0, 1 and 2;" in short.items[4]


def test_generated_data_is_said_and_only_then(simulate: Simulate) -> None:
    study, trials = simulate()
    plain = evolve(study, questions=())
    assert Note(words=GENERATED) in compose(plain, trials[:1]).lead
    assert Note(words=GENERATED) not in compose(evolve(plain, generated=False), trials[:1]).lead


def test_one_seed_is_one(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0,))
    assert "1 point, seed 0;" in str(compose(evolve(study, questions=()), trials[:1]).sections[0])


def test_a_report_is_written_again_only_where_it_would_change(simulate: Simulate, tmp_path: Path) -> None:
    study, trials = simulate()
    study = evolve(study, questions=study.questions[2:])
    few = trials[:6]
    files = update_report(evolve(study, finished=2, missing={"key": "member"}), few, tmp_path)
    plots = sorted((tmp_path / "plots").iterdir())
    written = [path.stat().st_ino for path in (*files, *plots)]

    def unchanged() -> bool:
        return [path.stat().st_ino for path in (*files, *plots)] == written

    assert update_report(study, few, tmp_path) == files
    assert unchanged()
    update_report(study, trials[:9], tmp_path)
    assert not unchanged()


@pytest.mark.parametrize("name", ["report.md", "report.html", "plots/points.svg", "report.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("[]")], ids=["gone", "changed"])
def test_a_file_of_a_report_that_is_gone_or_changed_is_written_again(
    simulate: Simulate, tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    study, trials = simulate()
    study = evolve(study, questions=())
    update_report(study, trials[:6], tmp_path)
    before = (tmp_path / name).read_bytes()
    damage(tmp_path / name)
    update_report(study, trials[:6], tmp_path)
    assert (tmp_path / name).read_bytes() == before
