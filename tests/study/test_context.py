from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import UserError
from bebertlab.study.context import StudyContext, known_caveats, known_records
from bebertlab.study.journal import new_record
from bebertlab.study.space import Trial

if TYPE_CHECKING:
    from tests.study.conftest import Files


def test_a_new_study_has_its_grid_and_no_folder(files: Files) -> None:
    context = StudyContext(files.read(), Path("work"))
    assert [record.state.value for record in context.records()] == ["waiting"] * 14
    assert context.observed().planned == 14
    context.check_plans(context.records())
    assert not Path("work").exists()
    assert known_records(context.study, Path("work")) == (context.folder, context.records())


def test_a_new_sampled_study_has_no_trials(files: Files) -> None:
    source = files.read("sampler=random", "sampler.trials=3")
    context = StudyContext(source, Path("work"))
    assert context.records() == ()
    assert context.observed().identity["task"] == "fake/4"


def test_a_trial_is_planned_once(files: Files) -> None:
    context = StudyContext(files.read(), Path("work"))
    record = context.records()[0]
    assert context.plan(record) is context.plan(record)


def test_a_device_is_part_of_every_key(files: Files) -> None:
    keys = {
        StudyContext(files.read(), Path("work"), device)
        .plan(StudyContext(files.read(), Path("work")).records()[0])
        .result.key
        for device in ("cpu", "cuda", "cuda:1")
    }
    assert len(keys) == 2


def test_points_that_cannot_be_planned_are_reported_together(files: Files) -> None:
    context = StudyContext(files.read("exclude=[]"), Path("work"))
    with pytest.raises(UserError) as error:
        context.check_plans(context.records())
    assert [line.split(":")[0] for line in str(error.value).splitlines()[1:]] == [
        "  members.ensemble=single members.size=2",
        "  members.ensemble=single members.size=4",
    ]


def test_searched_options_without_effect_are_reported(files: Files) -> None:
    context = StudyContext(files.read(), Path("work"))
    assert context.observed().idle == ()
    aside = StudyContext(files.read("result=trunk"), Path("work"))
    assert aside.observed().idle == (
        "search: members.ensemble changes nothing: trials that differ in it alone have the same result",
        "search: members.size changes nothing: trials that differ in it alone have the same result",
    )


def test_effects_of_a_range_are_determined_by_the_needed_stages(files: Files) -> None:
    drawn = (
        "sampler=random",
        "sampler.trials=3",
        "search={members.size: {integer: [2, 9]}}",
        "exclude=[]",
        "questions=[]",
    )
    context = StudyContext(files.read(*drawn, "result=trunk"), Path("work"))
    records = [new_record(Trial(number=n, point={"members.size": n + 2}, seed=0)) for n in range(2)]
    assert [text.split()[1] for text in context.idle(records)] == ["members.size"]
    assert [text.split()[1] for text in context.idle(records[:1])] == ["members.size"]
    assert StudyContext(files.read(*drawn), Path("work")).idle(records) == ()


def test_the_resolved_study_is_replaced_atomically(files: Files) -> None:
    context = StudyContext(files.read(), Path("work"))
    record = context.observed()
    for _ in range(2):
        context.write_resolved(record)
    assert sorted(path.name for path in context.folder.iterdir()) == [
        "caveats.json",
        "plugins",
        "study.json",
        "study.yaml",
    ]
    assert [path.name for path in (context.folder / "plugins").iterdir()] == ["parts.py"]


def test_caveats_of_every_task_are_kept_for_the_status(files: Files) -> None:
    parts = files.folder / "parts.py"
    text = parts.read_text()
    assert "caveats=(GENERATED,)" in text
    many = text.replace("caveats=(GENERATED,)", "caveats=(evolve(GENERATED, short=f'size {self.size}'),)")
    parts.write_text(many.replace("from attrs import ", "from attrs import evolve, "))
    context = StudyContext(files.read("search.task.size={choice: [4, 5]}"), Path("work"))
    assert known_caveats(context.folder) == ()
    context.write_resolved(context.observed())
    assert [caveat.short for caveat in known_caveats(context.folder)] == ["size 4", "size 5"]
    for damaged in ("[{", "null", '[{"kind": 1}]'):
        (context.folder / "caveats.json").write_text(damaged)
        with pytest.raises(UserError, match=r"caveats\.json: damaged: .*run the study again"):
            known_caveats(context.folder)


BROKEN = """\
    def load(self) -> Task:
        if self.size >= LEAST:
            raise UserError('train.parquet: row 5: label is 7')
        return self._load()

    def _load(self) -> Task:
"""


@pytest.mark.parametrize("sets", [(), ("sampler=random", "sampler.trials=3")])
def test_an_error_of_the_data_names_no_point(files: Files, sets: tuple[str, ...]) -> None:
    _break_data(files)
    context = StudyContext(files.read(*sets), Path("work"))
    with pytest.raises(UserError, match=r"^train\.parquet: row 5: label is 7$"):
        (context.check_drawn if sets else context.check_plans)(context.records())


def test_an_error_of_the_data_names_the_points_where_the_task_is_searched(files: Files) -> None:
    _break_data(files, least=5)
    context = StudyContext(files.read("search.task.size=[4, 5]"), Path("work"))
    message = r"(?s)^these points cannot run; .*task\.size=5 and 6 more points: train\.parquet: row 5"
    with pytest.raises(UserError, match=message):
        context.check_plans(context.records())


def _break_data(files: Files, least: int = 1) -> None:
    """Break the data of tasks with at least that many examples."""
    parts = files.folder / "parts.py"
    broken = BROKEN.replace("LEAST", str(least))
    parts.write_text(parts.read_text().replace("    def load(self) -> Task:\n", broken))
