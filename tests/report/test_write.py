from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from attrs import evolve

from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.task import GENERATED, Caveat
from bebertlab.report import summary_table, update_report, write_report, written_summary
from bebertlab.report.document import Bullets, Note
from bebertlab.report.write import WIDTH, compose

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def _write(study: StudyRecord, trials: list[TrialRecord], folder: Path) -> str:
    markdown, html = write_report(study, trials, folder)
    assert (markdown.name, html.name) == ("report.md", "report.html")
    pages = markdown.read_text(encoding="utf-8"), html.read_text(encoding="utf-8")
    assert "None" not in pages[0]
    assert "nan" not in pages[0].split()
    assert written_summary(folder) == summary_table(study, trials)
    return pages[0]


def test_both_pages_and_their_plots_are_written(simulate: Simulate, tmp_path: Path) -> None:
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


def test_old_plots_are_removed(simulate: Simulate, tmp_path: Path) -> None:
    study, trials = simulate()
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "old.svg").touch()
    _write(evolve(study, questions=()), list(trials[:1]), tmp_path)
    assert list((tmp_path / "plots").iterdir()) == []


def test_an_interrupted_study_is_reported_with_its_failures(
    simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord], tmp_path: Path
) -> None:
    study, trials = simulate()
    states = itertools.cycle([0, 0, 1, 2, 0])
    waiting = [evolve(trial, state=TrialState.WAITING, metrics={}, stages=()) for trial in trials]
    mixed = [(trial, fail(trial), waiting[trial.number])[state] for trial, state in zip(trials, states, strict=False)]
    page = _write(evolve(study, planned=126), mixed, tmp_path)
    assert "25 failed, 25 left" in page
    assert "Failed trials" in page


def test_a_random_search_without_questions_is_reported(simulate: Simulate, tmp_path: Path) -> None:
    study, trials = simulate()
    rates = np.random.default_rng(0).uniform(1e-4, 1e-2, 42).tolist()
    drawn = [evolve(trial, parameters={"train.learning_rate": rates[i // 3]}) for i, trial in enumerate(trials)]
    page = _write(evolve(study, axes={"train.learning_rate": ()}, questions=()), drawn, tmp_path)
    assert "learning_rate" in page
    assert "Answers" not in page


def test_a_study_without_trials_is_reported(simulate: Simulate, tmp_path: Path) -> None:
    study, _ = simulate()
    assert "0 of 0 trials complete" in _write(study, [], tmp_path)


def test_answers_are_the_first_section(simulate: Simulate) -> None:
    document = compose(*simulate())
    names = [figure.name for figure in document.figures()]
    assert len(names) == len(set(names)) == 7
    titles = [section.title for section in document.sections if section.level == 2]
    assert titles[:3] == ["Summary", "Answers", "All points"]
    assert titles[-1] == "How to reproduce"
    short = document.sections[0].blocks[0]
    assert isinstance(short, Bullets)
    assert short.leads[0] == "Does boosting beat bagging and the single model?"
    assert "boosting is better than single by 3." in short.items[0]  # names stay as they are written
    assert "Best of 42 points" in short.items[3]
    assert "126 of 126 trials complete" in short.items[4]
    assert "seeds 0, 1 and 2;" in short.items[4]


def test_generated_data_is_reported_and_only_then(simulate: Simulate) -> None:
    study, trials = simulate()
    plain = evolve(study, questions=())
    assert Note(text=GENERATED.sentence) in compose(plain, trials[:1]).lead
    assert Note(text=GENERATED.sentence) not in compose(evolve(plain, caveats=()), trials[:1]).lead


def test_a_single_seed_has_no_spread(simulate: Simulate) -> None:
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


@pytest.mark.parametrize("name", ["report.md", "report.html", "summary.txt", "plots/points.svg", "report.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("[]")], ids=["gone", "changed"])
def test_a_missing_or_changed_file_of_a_report_is_written_again(
    simulate: Simulate, tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    study, trials = simulate()
    study = evolve(study, questions=())
    update_report(study, trials[:6], tmp_path)
    before = (tmp_path / name).read_bytes()
    damage(tmp_path / name)
    update_report(study, trials[:6], tmp_path)
    assert (tmp_path / name).read_bytes() == before


def test_a_summary_has_a_table_answers_and_failures(
    simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]
) -> None:
    study, trials = simulate()
    text = summary_table(study, [fail(trials[0]), *trials[1:]])
    lines = text.splitlines()
    assert lines[0] == "ensemble_ablation@3f2c9a71: 125 of 126 trials complete, 1 failed"
    assert "do not apply to real language" in lines[1]
    assert lines[3].split()[:3] == ["#", "activation_bits", "distillation"]
    assert "  At size 2: boosting is better than single by 3." in text
    assert "the loss became NaN at step 7" in text
    assert text.endswith("\n")


@pytest.mark.parametrize("long", ["members.ensemble", "members.distillation"])
def test_lines_of_a_summary_fit_the_width(simulate: Simulate, long: str) -> None:
    study, trials = simulate()
    wordy = {"kind": "boosting", "temperature": 2.0, "weights": [0.25] * 40}
    wide = [evolve(trial, parameters={**trial.parameters, long: wordy}, name="t" * 300) for trial in trials]
    failed = evolve(wide[0], state=TrialState.FAILED, error="because " * 60)
    text = summary_table(evolve(study, axes={**study.axes, long: (wordy,)}), [failed, *wide[1:]])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" in text


def test_a_summary_refers_to_the_report_for_omitted_parts(simulate: Simulate) -> None:
    study, trials = simulate()
    more = [
        evolve(
            trial,
            metrics={**trial.metrics, "validation/f1": 50.0 + trial.number, "validation_mismatched/f1": trial.number},
        )
        for trial in trials
    ]
    assert "validation/f1" not in summary_table(study, more)
    assert "validation/f1" in summary_table(evolve(study, axes={"members.size": (1, 2, 4)}), more)


def test_a_summary_of_a_study_that_has_not_started(simulate: Simulate) -> None:
    study, _ = simulate()
    text = summary_table(evolve(study, planned=126), [])
    assert "0 of 126 trials complete, 126 left" in text
    assert "Not answered: members.ensemble was not searched in this run." in text


def test_a_summary_omits_costs_before_shortening_values(simulate: Simulate) -> None:
    study, trials = simulate()
    costs = ("size/matrix_mebibytes", "size/stored_mebibytes", "cost/gigaflops", "validation/f1")
    costly = [
        evolve(trial, metrics={**trial.metrics, **{name: 3.0 + trial.number for name in costs}}) for trial in trials
    ]
    head = summary_table(study, costly).splitlines()[3]
    assert ("validation/f1" in head, "stored MiB" in head) == (False, False)
    assert ("total MiB" in head, "GFLOPs" in head) == (True, True)
    narrow = evolve(study, axes={"members.size": (1, 2, 4)})
    whole = summary_table(narrow, costly).splitlines()[3]
    assert all(name in whole for name in ("validation/f1", "matrix MiB", "total MiB", "stored MiB", "GFLOPs"))
    wide = [evolve(trial, parameters={**trial.parameters, "members.distillation": "d" * 30}) for trial in costly]
    head = summary_table(evolve(study, axes={**study.axes, "members.distillation": ("d" * 30,)}), wide).splitlines()[3]
    assert not any(name in head for name in ("matrix MiB", "stored MiB", "GFLOPs"))
    assert "total MiB" in head


def test_caveats_are_at_the_top_of_report_and_summary(simulate: Simulate) -> None:
    study, _ = simulate()
    caveats = tuple(Caveat(kind=kind, short=kind, sentence=f"The data are {kind}.") for kind in ("cut", "odd"))
    limited = evolve(study, caveats=caveats, questions=())
    assert compose(limited, []).lead[1:] == (Note(text="The data are cut."), Note(text="The data are odd."))
    assert summary_table(limited, []).splitlines()[1:3] == ["The data are cut.", "The data are odd."]


def test_the_summary_names_the_best_model_and_its_key(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0,))
    text = summary_table(evolve(study, questions=()), trials)
    best = max(trials, key=lambda trial: trial.metrics["validation/score"])
    assert f"Best model: {best.name}" in " ".join(text.split())
    assert f"key of its stage score: {best.stages[-1].key[:12]}" in text
