from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.report.caveats import GENERATED, banners
from bebertlab.report.document import Note
from bebertlab.report.text import summary_table
from bebertlab.report.write import compose

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_what_is_not_the_whole_benchmark_is_said_at_the_top(simulate: Simulate) -> None:
    study, _ = simulate()
    cut = evolve(
        study,
        generated=False,
        questions=(),
        identity={"task": "glue/mnli (not the official splits)"},
        resolved="recipe: {task: {kind: glue, limit: 100}}\n",
    )
    limited, unofficial = banners(cut)
    assert limited == "Cut data: the task has limit 100. Scores are not those of the whole task."
    assert unofficial == "Not the official splits of glue/mnli: scores cannot be set beside published ones."
    assert compose(cut, []).lead[1:] == (Note(words=limited), Note(words=unofficial))
    assert summary_table(cut, []).splitlines()[1:3] == [limited, unofficial]


def test_whole_data_has_no_banner(simulate: Simulate) -> None:
    study, _ = simulate()
    assert banners(study) == (GENERATED,)
    whole = evolve(study, generated=False, identity={"task": "glue/mnli"})
    assert banners(evolve(whole, resolved="recipe: {task: {kind: glue, name: mnli, limit: null}}\n")) == ()
