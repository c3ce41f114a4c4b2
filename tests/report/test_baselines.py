from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.interfaces.events import TrialRecord
from bebertlab.report.baselines import baselines
from bebertlab.report.compose import compose
from bebertlab.report.document import Note, Table
from bebertlab.report.markdown import markdown
from bebertlab.report.text import summary_table

if TYPE_CHECKING:
    from tests.report.conftest import Simulate

BASELINES = {"majority/validation_score": 50.0, "majority/validation_matthews": 0.0, "chance/validation_score": 49.5}
CONSTANT = {"variety/validation": 0.0, "variety/validation_labels": 50.0}


def _with(trials: Sequence[TrialRecord], **metrics: float) -> list[TrialRecord]:
    return [evolve(trial, metrics={**trial.metrics, **metrics}) for trial in trials]


def test_majority_and_chance_stand_in_every_table_of_scores(simulate: Simulate) -> None:
    study, trials = simulate()
    document = compose(study, _with(trials, **BASELINES))
    scored = [
        block
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Table) and {"validation/score", "score"} & set(block.columns)
    ]
    assert len(scored) >= 3
    for table in scored:
        majority, chance = table.rows[-2:]
        column = next(place for place, name in enumerate(table.columns) if name in ("validation/score", "score"))
        assert (majority[0], majority[column]) == ("majority", "50.00")
        assert (chance[0], chance[column]) == ("chance", "49.50")
    lines = summary_table(study, _with(trials, **BASELINES)).splitlines()
    assert [line.split()[0] for line in lines if "50.00" in line or "49.50" in line][-2:] == ["majority", "chance"]


def test_every_task_has_its_own(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0,))
    study = evolve(study, axes={**study.axes, "task.name": ("cola", "rte")})
    found = [
        evolve(
            trial,
            parameters={**trial.parameters, "task.name": name},
            metrics={**trial.metrics, "majority/validation_score": score},
        )
        for name, score in (("cola", 0.0), ("rte", 52.7))
        for trial in trials
    ]
    assert [(one.parameters, one.score("validation/score")) for one in baselines(study, found)] == [
        ({"task.name": "cola"}, 0.0),
        ({"task.name": "rte"}, 52.7),
    ]


def test_where_nothing_was_learned_there_is_no_best_and_no_answer(simulate: Simulate) -> None:
    study, trials = simulate()
    nothing = _with(trials, **BASELINES, **CONSTANT)
    document = compose(study, nothing)
    first = next(block for block in document.lead if isinstance(block, Note))
    assert first.words.startswith("Nothing was learned: every model gives the same answer")
    page = markdown(document)
    for words in ("Best of", "boosting beats", "reached the same mean", "Score against size"):
        assert words not in page
        assert words not in summary_table(study, nothing)
    assert page.count("Not answered: nothing was learned") == 2 * len(study.questions)


def test_points_that_learned_nothing_beside_others_are_named(simulate: Simulate) -> None:
    study, trials = simulate()
    study = evolve(study, questions=())  # whose plots take time
    some = [*_with(trials[:1], **CONSTANT), *trials[1:]]
    page = markdown(compose(study, some))
    assert "gives the same answer to (nearly) every text: it learned nothing" in page
    assert "Best of" in page
