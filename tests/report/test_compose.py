from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.report.banners import GENERATED
from bebertlab.report.compose import compose
from bebertlab.report.document import Bullets, Note

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


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
