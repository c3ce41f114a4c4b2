"""The journal: its entries survive every kill, and it lists the remaining trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from bebertlab.errors import SetupError
from bebertlab.formats import OtherFormat
from bebertlab.interfaces.events import StageResult, TrialRecord, TrialState
from bebertlab.interfaces.sampler import Constraint, Objective, SearchDimension
from bebertlab.study.journal import FILE, Journal, open_journal, read_records
from bebertlab.study.sampling import PointSource
from bebertlab.study.space import Trial
from bebertlab.study.study import Study, show
from bebertlab_samplers.grid import GridSampler
from bebertlab_samplers.optuna_samplers import RandomSampler, TpeSampler
from bebertlab_samplers.quasi_random import QuasiRandomSampler

SIZE = "size/total_mebibytes"


def make(**changes: Any) -> Study:  # noqa: ANN401 - fields of a study
    search = {
        "members.size": SearchDimension(choice=(1, 2)),
        "members.distillation": SearchDimension(choice=("none", {"kind": "two-stage"})),
    }
    defaults: dict[str, Any] = {"name": "s", "recipe": {}, "search": search, "seeds": (0, 1), "sampler": GridSampler()}
    return Study(**defaults | changes)


def complete(journal: Journal, record: TrialRecord, score: float) -> None:
    journal.start(evolve(record, state=TrialState.RUNNING))
    journal.finish(evolve(record, state=TrialState.COMPLETE, metrics={"validation/score": score}))


def fail(journal: Journal, record: TrialRecord) -> None:
    journal.start(evolve(record, state=TrialState.RUNNING))
    journal.finish(evolve(record, state=TrialState.FAILED, error="loss is nan"))


def states(folder: Path) -> list[str]:
    return [record.state.value for record in read_records(folder)]


def test_the_grid_is_listed_with_every_seed_once(tmp_path: Path) -> None:
    with open_journal(make(), tmp_path) as journal:
        assert len(journal.extend()) == journal.planned == 8
        assert journal.extend() == ()
    assert states(tmp_path) == ["waiting"] * 8
    assert read_records(tmp_path)[3].name == "t003 members.size=1 members.distillation=two-stage seed=1"
    assert read_records(tmp_path)[3].parameters == {"members.size": 1, "members.distillation": {"kind": "two-stage"}}


def test_the_whole_record_is_kept(tmp_path: Path) -> None:
    stage = StageResult(stage="a", stage_kind="k", key="ff", seconds=1.5, metrics={"x": 0.1})
    with open_journal(make(), tmp_path) as journal:
        record = evolve(
            journal.extend()[1],
            state=TrialState.COMPLETE,
            metrics={"validation/score": 0.1},
            stages=(stage,),
            seconds=2.5,
            device="cpu",
        )
        journal.finish(record)
        assert journal.records()[1] == record
    assert read_records(tmp_path)[1] == record


def test_the_running_trial_of_a_killed_driver_keeps_its_number(tmp_path: Path) -> None:
    with open_journal(make(), tmp_path) as journal:
        waiting = journal.extend()
        complete(journal, waiting[0], 50.0)
        journal.start(evolve(waiting[1], state=TrialState.RUNNING))
    with open_journal(make(), tmp_path) as journal:
        assert journal.extend() == ()
        assert [record.state.value for record in journal.records()][:3] == ["complete", "running", "waiting"]
        complete(journal, journal.records()[1], 60.0)
    assert states(tmp_path)[:3] == ["complete", "complete", "waiting"]


def test_a_trial_can_be_requeued(tmp_path: Path) -> None:
    with open_journal(make(), tmp_path) as journal:
        record = evolve(journal.extend()[0], state=TrialState.RUNNING)
        journal.start(record)
        journal.wait(record)
        assert journal.records()[0].state is TrialState.WAITING
        complete(journal, journal.records()[0], 1.0)
    assert states(tmp_path)[0] == "complete"


def test_a_new_attempt_replaces_a_failed_one(tmp_path: Path) -> None:
    with open_journal(make(), tmp_path) as journal:
        fail(journal, journal.extend()[2])
        again = journal.again(2)
        assert (again.state, again.number, again.error) == (TrialState.WAITING, 2, None)
        complete(journal, again, 70.0)
    assert len(read_records(tmp_path)) == 8
    assert read_records(tmp_path)[2].metrics == {"validation/score": 70.0}


def test_a_journal_is_continued_after_an_incomplete_line(tmp_path: Path) -> None:
    with open_journal(make(), tmp_path) as journal:
        complete(journal, journal.extend()[0], 50.0)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + b'{"op_code": 8, "trial')
    assert states(tmp_path)[0] == "complete"  # a concurrent reader sees such a line, too
    with open_journal(make(), tmp_path) as journal:
        complete(journal, journal.records()[1], 60.0)
    assert states(tmp_path)[:3] == ["complete", "complete", "waiting"]


@pytest.mark.parametrize("lines", range(1, 14, 3))
def test_a_journal_truncated_anywhere_is_continued(tmp_path: Path, lines: int) -> None:
    with open_journal(make(), tmp_path) as journal:
        complete(journal, journal.extend()[0], 50.0)
    text = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(b"".join(text[:lines]))
    with open_journal(make(), tmp_path) as journal:
        journal.extend()
        for record in journal.records():
            if record.state is not TrialState.COMPLETE:
                complete(journal, record, 1.0)
    assert states(tmp_path) == ["complete"] * 8


@pytest.mark.parametrize("actual", [None, 3])
def test_a_journal_of_another_format_is_refused(tmp_path: Path, actual: int | None) -> None:
    with open_journal(make(), tmp_path) as journal:
        complete(journal, journal.extend()[0], 50.0)
    lines = (tmp_path / FILE).read_text().splitlines(keepends=True)
    (index,) = (index for index, line in enumerate(lines) if "bebertlab_format" in line)
    lines[index] = "" if actual is None else lines[index].replace(":2}", f":{actual}}}")
    (tmp_path / FILE).write_text("".join(lines))
    with pytest.raises(OtherFormat, match=r"this version reads 2\); move the file away and run"):
        read_records(tmp_path)
    with (
        pytest.raises(OtherFormat, match=f"written by {'an older' if actual is None else 'a newer'} bebertlab"),
        open_journal(make(), tmp_path),
    ):
        pass
    assert (tmp_path / FILE).read_text() == "".join(lines)


def test_an_unreadable_record_is_reported_as_damage(tmp_path: Path) -> None:
    with open_journal(make(), tmp_path) as journal:
        journal.extend()
    text = (tmp_path / FILE).read_text().replace('"seed":1', '"seed":"one"')
    (tmp_path / FILE).write_text(text)
    with pytest.raises(SetupError, match="the journal is damaged: seed: expected an integer, got 'one'; move"):
        read_records(tmp_path)


def test_only_one_driver_at_a_time(tmp_path: Path) -> None:
    with open_journal(make(), tmp_path):
        with pytest.raises(SetupError, match="another process"), open_journal(make(), tmp_path):
            pass
        assert read_records(tmp_path) == ()
    with open_journal(make(), tmp_path):
        pass


SAMPLERS = {"random": RandomSampler, "tpe": TpeSampler}


def drawn(kind: str, **changes: Any) -> Study:  # noqa: ANN401 - fields of a study
    search = {
        "train.learning_rate": SearchDimension(loguniform=(1e-4, 1e-2)),
        "members.size": SearchDimension(integer=(1, 4)),
        "members.ensemble": SearchDimension(choice=("bagging", "boosting")),
    }
    sampler = SAMPLERS[kind](trials=16, batch=4)  # TPE uses results from the 11th point on
    return make(**{"search": search, "sampler": sampler, "seeds": (0,)} | changes)


def value(record: TrialRecord) -> float:
    """Each is better than all earlier ones, so that TPE samples near it."""
    return record.number + float(record.parameters.get("train.learning_rate", 0))


def run_drawn(study: Study, folder: Path, *, backwards: bool = False, stop_after: int | None = None) -> None:
    """Run to the end, or until a number of trials has finished, in or against the order of the numbers."""
    with open_journal(study, folder) as journal:
        journal.extend()
        done = 0
        while waiting := [record for record in journal.records() if record.state is not TrialState.COMPLETE]:
            if done == stop_after:
                return
            record = waiting[-1 if backwards else 0]
            complete(journal, record, value(record))
            done += 1
            journal.extend()


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_sampled_batches_do_not_depend_on_order_or_kills(tmp_path: Path, kind: str) -> None:
    study = drawn(kind)
    run_drawn(study, tmp_path / "a")
    run_drawn(study, tmp_path / "b", backwards=True)
    for count in (0, 1, 3, 9, None):
        run_drawn(study, tmp_path / "c", stop_after=count)
    first, second, third = (read_records(tmp_path / name) for name in "abc")
    assert first == second == third
    assert [record.number for record in first] == list(range(16))
    assert len({str(record.parameters) for record in first}) == 16
    assert all(1 <= record.parameters["members.size"] <= 4 for record in first)


def test_several_objectives_reach_the_sampler_and_survive_a_kill(tmp_path: Path) -> None:
    def run(study: Study, folder: Path, *, stop: int = 99) -> list[TrialRecord]:
        with open_journal(study, folder) as journal:
            journal.extend()
            while waiting := [record for record in journal.records() if record.state is not TrialState.COMPLETE]:
                if len(journal.records()) - len(waiting) == stop:
                    break
                rate = waiting[0].parameters["train.learning_rate"]
                metrics = {"validation/score": rate, SIZE: rate}
                journal.finish(evolve(waiting[0], state=TrialState.COMPLETE, metrics=metrics))
                journal.extend()
        return list(read_records(folder))

    search = {"train.learning_rate": SearchDimension(uniform=(0.0, 1.0))}
    sampler = TpeSampler(trials=20, startup=4)
    conflict = make(search=search, seeds=(0,), sampler=sampler, objectives={"validation/score": "max", SIZE: "min"})
    agree = make(search=search, seeds=(0,), sampler=sampler, objectives={"validation/score": "max", SIZE: "max"})
    first = run(conflict, tmp_path / "a")
    assert len(first) == 20
    for stop in (3, 9, 99):
        again = run(conflict, tmp_path / "b", stop=stop)
    assert again == first
    late = [record.parameters["train.learning_rate"] for record in run(agree, tmp_path / "c")[10:]]
    assert sum(late) / 10 > 0.7  # one point is best in both


def test_a_partly_sampled_batch_is_completed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = drawn("tpe")
    run_drawn(study, tmp_path / "whole")
    draw = PointSource.draw
    with monkeypatch.context() as patch:

        def killed(self: PointSource, index: int, trials: Any) -> Any:  # noqa: ANN401 - those of `draw`
            if index == 13:
                raise KeyboardInterrupt
            return draw(self, index, trials)

        patch.setattr(PointSource, "draw", killed)
        with pytest.raises(KeyboardInterrupt):
            run_drawn(study, tmp_path / "killed")
    assert len(read_records(tmp_path / "killed")) == 13
    run_drawn(study, tmp_path / "killed")
    assert read_records(tmp_path / "killed") == read_records(tmp_path / "whole")


def test_a_sampler_waits_for_the_results_of_its_batch(tmp_path: Path) -> None:
    study = drawn("random", seeds=(0, 1), sampler=RandomSampler(trials=7, batch=3))
    with open_journal(study, tmp_path) as journal:
        assert len(journal.extend()) == 6
        assert journal.planned == 14
        for record in journal.records()[:-1]:
            complete(journal, record, 1.0)
            assert journal.extend() == ()
        fail(journal, journal.records()[-1])
        assert [record.number for record in journal.extend()] == [6, 7, 8, 9, 10, 11]


def test_missing_seeds_of_a_point_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = drawn("random", seeds=(0, 1, 2), sampler=RandomSampler(trials=2))
    create = Journal._create
    with monkeypatch.context() as patch:

        def killed(self: Journal, trial: Trial) -> TrialRecord:
            if trial.number == 1:
                raise KeyboardInterrupt
            return create(self, trial)

        patch.setattr(Journal, "_create", killed)
        with pytest.raises(KeyboardInterrupt), open_journal(study, tmp_path) as journal:
            journal.extend()
    assert len(read_records(tmp_path)) == 1
    with open_journal(study, tmp_path) as journal:
        journal.extend()
    assert [record.seed for record in read_records(tmp_path)] == [0, 1, 2, 0, 1, 2]


def test_another_sampler_seed_draws_other_points(tmp_path: Path) -> None:
    for seed in (0, 1):
        study = evolve(drawn("random"), sampler=RandomSampler(trials=3, seed=seed))
        with open_journal(study, tmp_path / str(seed)) as journal:
            journal.extend()
    assert read_records(tmp_path / "0")[0].parameters != read_records(tmp_path / "1")[0].parameters


@pytest.mark.parametrize("stop_after", [None, 1, 3])
def test_an_exhausted_space_is_detected_after_a_restart(tmp_path: Path, stop_after: int | None) -> None:
    search = {"members.size": SearchDimension(integer=(1, 7))}
    study = drawn("tpe", search=search, exclude=({"members.size": 2},), sampler=TpeSampler(trials=50))
    run_drawn(study, tmp_path / "whole")
    for count in (0, stop_after, None):
        run_drawn(study, tmp_path / "parts", stop_after=count)
        with open_journal(study, tmp_path / "parts") as journal:
            assert journal.planned == 6
    actual = read_records(tmp_path / "parts")
    assert sorted(record.parameters["members.size"] for record in actual) == [1, 3, 4, 5, 6, 7]
    assert actual == read_records(tmp_path / "whole")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"values"', '"walues"', r"Optuna cannot read it \(KeyError: 'values'\)"),
        ('"op_code":0,', '"op_code":99,', "Optuna cannot read it"),
        ('{"op_code":0,', "[" * 100_000 + '{"op_code":0,', "this line is not an entry"),
    ],
)
def test_entries_that_optuna_cannot_read_are_reported_as_damage(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with open_journal(make(), tmp_path) as journal:
        complete(journal, journal.extend()[0], 50.0)
    (tmp_path / FILE).write_text((tmp_path / FILE).read_text().replace(old, new))
    with pytest.raises(SetupError, match=f"the journal is damaged: {message}"):
        read_records(tmp_path)
    with pytest.raises(SetupError, match=f"the journal is damaged: {message}"), open_journal(make(), tmp_path):
        pass


def test_a_journal_without_its_first_entry_is_reported_as_damaged(tmp_path: Path) -> None:
    with open_journal(make(), tmp_path) as journal:
        journal.extend()
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(b"".join(lines[1:]))
    with pytest.raises(SetupError, match="the journal is damaged: its first entry is lost"):
        read_records(tmp_path)


def test_an_objective_may_be_minimized(tmp_path: Path) -> None:
    with open_journal(make(objective=Objective(metric="train/seconds", goal="minimize")), tmp_path) as journal:
        record = journal.extend()[0]
        journal.finish(evolve(record, state=TrialState.COMPLETE, metrics={"train/seconds": 2.0}))
    assert b"train/seconds" in (tmp_path / FILE).read_bytes()


@pytest.mark.parametrize("garbage", [b"garbage\n", b"42\n", b"{}\n", b"\xff\xfe\n"])
@pytest.mark.parametrize("last", [False, True])
def test_a_damaged_line_is_named(tmp_path: Path, garbage: bytes, last: bool) -> None:
    with open_journal(make(), tmp_path) as journal:
        journal.extend()
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    at = len(lines) if last else 2
    (tmp_path / FILE).write_bytes(b"".join([*lines[:at], garbage, *lines[at:]]))
    message = rf"journal\.log:{at + 1}: the journal is damaged: this line is not an entry; move the file away and run"
    with pytest.raises(SetupError, match=message):
        read_records(tmp_path)
    with pytest.raises(SetupError, match=message), open_journal(make(), tmp_path):
        pass


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = r"file/x: cannot create the folder: Not a directory; choose another one with --work"
    with pytest.raises(SetupError, match=message), open_journal(make(), tmp_path / "file" / "x"):
        pass


def test_optuna_reads_states_values_parameters_and_constraints(tmp_path: Path) -> None:
    """What optuna-dashboard shows of a journal."""
    import optuna
    from optuna.trial import TrialState as Optuna

    search = {
        "kind": SearchDimension(choice=("a", {"kind": "b"})),
        "size": SearchDimension(integer=(1, 4), when={"kind": "a"}),
    }
    limit = Constraint(metric=SIZE, at_most=2.0)
    study = make(search=search, seeds=(0,), sampler=QuasiRandomSampler(trials=4), constraints=(limit,))
    with open_journal(study, tmp_path) as journal:
        records = journal.extend()
        for record, size in zip(records[:2], (1.5, 3.0), strict=True):
            metrics = {"validation/score": 50.0 + size, SIZE: size}
            journal.finish(evolve(record, state=TrialState.COMPLETE, metrics=metrics))
        fail(journal, records[2])
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / FILE)))
    (name,) = optuna.get_all_study_names(storage)
    read = optuna.load_study(study_name=name, storage=storage)
    assert read.metric_names == ["validation/score"]
    assert [trial.state for trial in read.trials] == [Optuna.COMPLETE, Optuna.COMPLETE, Optuna.FAIL, Optuna.RUNNING]
    assert [trial.values for trial in read.trials[:2]] == [[51.5], [53.0]]
    assert [list(trial.constraints.values()) for trial in read.trials[:2]] == [[-0.5], [1.0]]
    assert read.best_trial.number == 0
    for trial, record in zip(read.trials, records, strict=True):
        assert {path: show(value) for path, value in record.parameters.items()} == {
            path: value if isinstance(value, str) else show(value) for path, value in trial.params.items()
        }
    assert {len(record.parameters) for record in records} == {1, 2}
