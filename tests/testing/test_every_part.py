"""Every part that any plugin registers passes the kit of its role (quantizers and stages in separate files)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from safetensors.torch import load_file

from bebertlab import testing
from bebertlab.errors import UserError
from bebertlab.interfaces.roles import ROLES, Role
from bebertlab.registry.manager import load_plugins
from bebertlab.testing import (
    check_distillation,
    check_encoder,
    check_ensemble,
    check_importer,
    check_loss,
    check_merger,
    check_sampler,
    check_scheme,
    check_splitter,
    check_task,
)

REGISTRY = load_plugins().registry
#: options that a kind needs to be built, or to be checked quickly
OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("distillation", "dynabert-depth"): {"widths": (1.0, 0.25), "depths": (1.0, 0.5)},
    ("distillation", "dynabert-labels"): {"widths": (1.0, 0.25), "depths": (1.0, 0.5)},
    ("sampler", "gp"): {"trials": 4},
    ("sampler", "nsga2"): {"trials": 4},
    ("sampler", "optuna"): {"trials": 4, "name": "TPESampler"},
    ("sampler", "qmc"): {"trials": 4},
    ("sampler", "random"): {"trials": 4},
    ("sampler", "tpe"): {"trials": 4},
    ("task", "minigrammar"): {"size": 200},
}
#: of importers that refuse a config.json of full precision
SETTINGS = {kind: {"weight_bits": 1, "input_bits": 1, "quantize_act": True} for kind in ("bibert", "bebert-bibert")}


def built(role: str, kind: str, **options: Any) -> Any:  # noqa: ANN401 - options of any role
    return REGISTRY.find(role, kind)(**OPTIONS.get((role, kind), {}), **options)


def kinds(role: str) -> Callable[[Any], Any]:
    return pytest.mark.parametrize("kind", REGISTRY.kinds(role))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_has_a_contract_check(role: Role) -> None:
    assert role.kit in testing.__all__
    assert callable(getattr(testing, role.kit))


@kinds("scheme")
def test_schemes_keep_the_contract(kind: str) -> None:
    check_scheme(built("scheme", kind))


@kinds("splitter")
def test_splitters_keep_the_contract(kind: str) -> None:
    check_splitter(built("splitter", kind), built("scheme", "binarybert", weight_bits=2, activation_bits=4).spec())


@kinds("loss")
def test_losses_keep_the_contract(kind: str) -> None:
    check_loss(built("loss", kind))


@kinds("distillation")
def test_distillations_keep_the_contract(kind: str) -> None:
    check_distillation(built("distillation", kind))


@kinds("ensemble")
@pytest.mark.parametrize("classes", [1, 3])
def test_ensembles_keep_the_contract(kind: str, classes: int) -> None:
    check_ensemble(built("ensemble", kind), classes)


@kinds("merger")
def test_mergers_keep_the_contract(kind: str) -> None:
    supported = 0
    for classes in (1, 2, 3):
        try:
            built("merger", kind).build(classes)
        except UserError:
            continue
        check_merger(built("merger", kind), classes)
        supported += 1
    assert supported


@kinds("task")
def test_tasks_keep_the_contract(kind: str, glue: Path) -> None:
    check_task(built("task", kind, **({"name": "cola", "path": glue} if kind == "glue" else {})))


@kinds("encoder")
def test_encoders_keep_the_contract(kind: str, pretrained: Path) -> None:
    named = {"name": str(pretrained), "maximum_tokens": 16} if kind == "pretrained" else {}
    check_encoder(built("encoder", kind, **named))


@kinds("sampler")
def test_samplers_keep_the_contract(kind: str) -> None:
    check_sampler(built("sampler", kind))


@kinds("importer")
def test_importers_read_full_precision_or_their_quantized_model(kind: str, pretrained: Path) -> None:
    tensors = load_file(pretrained / "model.safetensors")
    config = json.loads((pretrained / "config.json").read_text())
    check_importer(built("importer", kind), tensors, {**config, **SETTINGS.get(kind, {})})


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    """A folder with a small CoLA, as on the hub."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "glue" / "cola").mkdir(parents=True)
    for split, count in (("train", 40), ("validation", 10)):
        columns = {
            "sentence": [f"{split} {number} ." for number in range(count)],
            "label": [number % 2 for number in range(count)],
            "idx": [*range(count)],
        }
        pq.write_table(pa.table(columns), tmp_path / "glue" / "cola" / f"{split}.parquet")
    return tmp_path / "glue"


def test_tested_options_are_those_of_registered_kinds() -> None:
    assert all(kind in REGISTRY.kinds(role) for role, kind in OPTIONS)
    assert all(evolve(built(role, kind)) == built(role, kind) for role, kind in OPTIONS)
