"""A training that was killed ends with the same bits as one that was not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve

from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.batch import Tap
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.ensemble import SampleWeights, Sampling
from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.task import Task
from bebertlab.model.bert import BertClassifier
from bebertlab.store.states import StateFile
from bebertlab.testing.tiny import tiny_model
from bebertlab.training import resume, run
from bebertlab.training.labels import LabelsOptions
from bebertlab.training.loop import train_phases
from bebertlab.training.result import Training
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher
from bebertlab_baselines.irnet import Irnet
from bebertlab_binarybert.lsq import Lsq
from bebertlab_bit.quantizers import Elastic
from tests.training.interruption import KEY, KillAt, Killed, state_file

SetUpTraining = Callable[..., TrainingSetup]
MakeLoss = Callable[..., LossOptions]
Make = Callable[[], tuple[BertClassifier, TrainingSetup]]

LABELS = Phase(name="labels", losses=(LabelsOptions(),))
QUANTIZED = QuantSpec(
    weights={Site.QUERY: Irnet(), Site.FFN_UP: Lsq(bits=2)},
    inputs={Site.FFN_UP: Lsq(bits=4), Site.QUERY: Elastic(bits=1)},
)
REWEIGHTED = SampleWeights(weights=np.arange(1, 97) / (97 * 48), sampling=Sampling.REWEIGHT)


@pytest.fixture(autouse=True)
def _report_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PROGRESS_SECONDS", -1.0)


def interrupted(make: Make, phases: tuple[Phase, ...], folder: Path, *steps: int) -> tuple[BertClassifier, Training]:
    """Train, killed at each of the steps in a new process as it were, and continued."""
    for step in steps:
        model, setup = make()
        with pytest.raises(Killed):
            train_phases(model, phases, evolve(setup, states=state_file(folder), progress=KillAt(step)))
        torch.rand(step)  # another process has other generators
    model, setup = make()
    observer = KillAt()
    training = train_phases(model, phases, evolve(setup, states=state_file(folder), progress=observer))
    assert any("resumed at step" in text for text in observer.texts)
    return model, training


def check_same(make: Make, phases: tuple[Phase, ...], folder: Path, *steps: int) -> None:
    model, setup = make()
    expected = train_phases(model, phases, setup)
    other, actual = interrupted(make, phases, folder, *steps)
    for (name, tensor), value in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert tensor.numpy().tobytes() == value.numpy().tobytes(), name
    assert actual.curve == expected.curve
    assert actual.steps == expected.steps
    assert (actual.last is None) == (expected.last is None)
    for name, tensor in (expected.last or {}).items():
        assert actual.last is not None
        assert torch.equal(tensor, actual.last[name]), name


@pytest.mark.parametrize("steps", [(2,), (5, 9), (6,), (7,), (11,)], ids=str)
def test_killed_at_any_step(task: Task, set_up_training: SetUpTraining, tmp_path: Path, steps: tuple[int, ...]) -> None:
    check_same(lambda: (tiny_model(task), set_up_training(train_evaluations=2)), (LABELS,), tmp_path, *steps)


@pytest.mark.parametrize(
    "given",
    [
        {"train_optimizer": "bertadam"},
        {"train_optimizer": "bertadam", "train_gradient_norm": None},
        {"train_gradient_norm": None, "train_schedule": "constant"},
        {"train_published_schedule": True, "train_batch_size": 20},
        {"train_micro_batch_size": 5},
        {"train_precision": "bf16"},
        {"train_epochs": 1},
        {"keep_last": True, "train_evaluations": 3, "train_learning_rate": 0.03},
        {"round": REWEIGHTED},
        {"round": evolve(REWEIGHTED, sampling=Sampling.RESAMPLE)},
        {"round": evolve(REWEIGHTED, sampling=Sampling.BOOTSTRAP)},
    ],
    ids=["bertadam", "unclipped", "constant", "published", "micro", "bf16", "short", "last", "weights", "draws", "bag"],
)
@pytest.mark.filterwarnings("ignore")
def test_every_option_resumes(
    task: Task, set_up_training: SetUpTraining, tmp_path: Path, given: dict[str, Any]
) -> None:
    check_same(lambda: (tiny_model(task), set_up_training(**given)), (LABELS,), tmp_path, 4)


@pytest.mark.parametrize("optimizer", ["adamw", "bertadam"])
def test_quantizers_resume(task: Task, set_up_training: SetUpTraining, tmp_path: Path, optimizer: str) -> None:
    check_same(
        lambda: (tiny_model(task, QUANTIZED), set_up_training(train_optimizer=optimizer)), (LABELS,), tmp_path, 3, 8
    )


def test_large_tables_resume(task: Task, set_up_training: SetUpTraining, tmp_path: Path) -> None:
    """Parameters that are not flattened, with gradients of few rows."""
    check_same(lambda: (tiny_model(task, hidden=1024), set_up_training(train_epochs=1)), (LABELS,), tmp_path, 4)


@pytest.mark.parametrize("dropout", [False, True])
def test_phases_with_a_teacher_resume(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss, tmp_path: Path, dropout: bool
) -> None:
    taps = Phase(name="taps", losses=(imitate(logits=False, taps=frozenset({Tap.HIDDEN})),))
    phases = (taps, Phase(name="logits", losses=(imitate(),)))

    def make() -> tuple[BertClassifier, TrainingSetup]:
        teacher = Teacher(tiny_model(task, seed=1))
        return tiny_model(task), set_up_training(teacher=teacher, train_teacher_dropout=dropout)

    check_same(make, phases, tmp_path / "first", 5)
    check_same(make, phases, tmp_path / "both", 7, 20)


def test_sub_networks_resume(task: Task, set_up_training: SetUpTraining, tmp_path: Path) -> None:
    phase = Phase(name="widths", losses=(LabelsOptions(),), widths=(0.5, 1.0), depths=(0.5, 1.0))
    check_same(lambda: (tiny_model(task), set_up_training()), (phase,), tmp_path, 4)


def test_a_resumed_training_reports_where_it_is_and_all_values(
    task: Task, set_up_training: SetUpTraining, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train_phases(tiny_model(task), (LABELS,), set_up_training(states=state_file(tmp_path), progress=KillAt(8)))
    observer = KillAt()
    train_phases(tiny_model(task), (LABELS,), set_up_training(states=state_file(tmp_path), progress=observer))
    assert observer.texts[0] == "labels: resumed at step 7 of 12 (saved 0:00 ago)"
    assert sorted(set(observer.steps)) == [*range(1, 13)]


def test_seconds_of_the_killed_process_count(task: Task, set_up_training: SetUpTraining, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train_phases(tiny_model(task), (LABELS,), set_up_training(states=state_file(tmp_path), progress=KillAt(8)))
    states = state_file(tmp_path)
    saved = states.begin()
    assert saved is not None
    seconds = saved.part("phase").data["seconds"]
    assert seconds > 0
    training = train_phases(tiny_model(task), (LABELS,), set_up_training(states=state_file(tmp_path)))
    assert training.seconds > seconds


def test_damage_starts_anew_with_a_message(
    task: Task, set_up_training: SetUpTraining, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Killed):
        train_phases(tiny_model(task), (LABELS,), set_up_training(states=state_file(tmp_path), progress=KillAt(8)))
    path = tmp_path / f"{KEY}.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))
    model, whole = tiny_model(task), tiny_model(task)
    observer = KillAt()
    with caplog.at_level(logging.WARNING):
        train_phases(model, (LABELS,), set_up_training(states=state_file(tmp_path), progress=observer))
    assert [record.getMessage() for record in caplog.records] == [
        f"the saved state of stage {KEY[:12]} is not used: it is damaged (its checksum is wrong); the training starts"
        " from the beginning"
    ]
    assert not any("resumed" in text for text in observer.texts)
    train_phases(whole, (LABELS,), set_up_training())
    assert all(map(torch.equal, model.state_dict().values(), whole.state_dict().values()))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("phases", "it has other phases (labels)"),
        ("machine", "it was saved on"),
        ("model", "it has other tensors than the model"),
        ("shape", "has another shape or type"),
    ],
)
def test_the_state_of_another_training_is_not_used(
    task: Task,
    set_up_training: SetUpTraining,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    reason: str,
) -> None:
    with pytest.raises(Killed):
        train_phases(tiny_model(task), (LABELS,), set_up_training(states=state_file(tmp_path), progress=KillAt(8)))
    model, phase = tiny_model(task), LABELS
    if change == "phases":
        phase = evolve(LABELS, name="other")
    elif change == "machine":
        monkeypatch.setattr(resume, "machine", lambda device: "an abacus")
    elif change == "model":
        model = tiny_model(task, QUANTIZED)
    else:
        model = tiny_model(task, hidden=32)
    observer = KillAt()
    train_phases(model, (phase,), set_up_training(states=state_file(tmp_path), progress=observer))
    assert reason in caplog.text
    assert not any("resumed" in text for text in observer.texts)


def test_saving_takes_at_most_a_fiftieth_of_the_time(
    task: Task, set_up_training: SetUpTraining, tmp_path: Path
) -> None:
    seconds = 0.0
    saves: list[float] = []

    class Slow(StateFile):
        def _write(self, *given: Any) -> None:  # noqa: ANN401 - of the base
            nonlocal seconds
            super()._write(*given)
            seconds += 3.0  # a slow disk
            saves.append(seconds)

    def step(*given: object, **values: object) -> None:
        nonlocal seconds
        seconds += 10.0

    names = count()

    def new_folder() -> Path:
        folder = tmp_path / str(next(names))
        folder.mkdir()
        return folder

    states = Slow(tmp_path / "file", KEY, new_folder, seconds=60.0, clock=lambda: seconds)
    train_phases(tiny_model(task), (LABELS,), set_up_training(train_epochs=10, states=states, progress=step))
    assert [saves[0], saves[1]] == [73.0, 226.0]  # at the first step after a minute, and after 147 more seconds
    assert len(saves) * 3.0 <= 0.021 * seconds + 3.0


def test_a_training_shorter_than_the_interval_saves_nothing(
    task: Task, set_up_training: SetUpTraining, tmp_path: Path
) -> None:
    states = state_file(tmp_path, every=1e9)
    train_phases(tiny_model(task), (LABELS,), set_up_training(states=states))
    assert list(tmp_path.iterdir()) == []


def test_the_second_training_of_a_stage_resumes_after_the_first_ran_again(
    task: Task, set_up_training: SetUpTraining, tmp_path: Path
) -> None:
    states = state_file(tmp_path)
    train_phases(tiny_model(task), (LABELS,), set_up_training(states=states))
    with pytest.raises(Killed):
        train_phases(tiny_model(task, seed=1), (LABELS,), set_up_training(states=states, progress=KillAt(6)))
    states, first, second = state_file(tmp_path), KillAt(), KillAt()
    train_phases(tiny_model(task), (LABELS,), set_up_training(states=states, progress=first))
    assert not any("resumed" in text for text in first.texts)
    train_phases(tiny_model(task, seed=1), (LABELS,), set_up_training(states=states, progress=second))
    assert second.texts[0].startswith("labels: resumed at step 5 of 12")
