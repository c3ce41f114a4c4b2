"""A small study of four trials."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from bebertlab.interfaces.events import StageResult, StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.sampler import Objective
from bebertlab.interfaces.task import GENERATED


@pytest.fixture
def study(tmp_path: Path) -> StudyRecord:
    return StudyRecord(
        name="tiny_study",
        digest="abcdef12" + "0" * 56,
        description="Two sizes, two seeds",
        folder=tmp_path / "studies" / "tiny_study-abcdef12",
        work=tmp_path,
        identity={"task": "minigrammar/acceptability", "encoder": "tiny", "recipe": "bebert"},
        resolved={
            "name": "tiny_study",
            "recipe": {"description": "small", "task": {"size": 40}, "stages": {"half": {"width": 0.5}}},
        },
        objectives=(Objective(),),
        axes={"members.size": (1, 2)},
        seeds=(0, 1),
        caveats=(GENERATED,),
        planned=4,
    )


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's schema, which takes seconds to create."""
    from bebertlab.tracking.mlflow_client import connect, default_uri

    work = tmp_path_factory.mktemp("mlflow")
    kept = set(os.environ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        connect(default_uri(work), work)
    for added in os.environ.keys() - kept:
        del os.environ[added]
    return work / "mlflow.db"


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Path:
    """The default database of the study's work folder."""
    return Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))


@pytest.fixture
def runs(database: Path) -> Any:  # noqa: ANN401 - a function to the untyped runs of MLflow
    """Reads every run of the only experiment except MLflow's default, studies before trials, by name."""
    from mlflow import MlflowClient

    def read() -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client = MlflowClient(f"sqlite:///{database}")
            (actual,) = [item for item in client.search_experiments() if item.name != "Default"]
            found_runs = client.search_runs([actual.experiment_id])
            return sorted(found_runs, key=lambda run: ("bebertlab.trial" in run.data.tags, run.info.run_name))

    return read


@pytest.fixture
def trials() -> tuple[TrialRecord, ...]:
    return tuple(_trial(number, size, seed) for number, (size, seed) in enumerate([(1, 0), (1, 1), (2, 0), (2, 1)]))


def _trial(number: int, size: int, seed: int) -> TrialRecord:
    score = 80.0 + size + 0.1 * seed
    metrics = {"validation/score": score, "validation/accuracy": score, "members/count": float(size)}
    names = ("teacher", *(f"members.{index}" for index in range(size)), "score")
    return TrialRecord(
        number=number,
        name=f"t{number:03d} members.size={size} seed={seed}",
        parameters={"members.size": size},
        seed=seed,
        state=TrialState.COMPLETE,
        metrics=metrics,
        seconds=1.5,
        stages=tuple(StageResult(stage=name, stage_kind=name, key=f"key of {name} {seed}") for name in names),
    )
