from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import WEIGHT_SITES, Architecture, QuantSpec, Site
from bebertlab.model.bert import BertClassifier
from bebertlab.model.parameter_names import branch_prefix
from bebertlab.model.spec import branch_counts, check_spec, quantizable_modules

if TYPE_CHECKING:
    from tests.model.conftest import Rounding


def test_quantizable_modules_are_the_modules_of_the_model(sizes: Architecture) -> None:
    modules = quantizable_modules(sizes)
    assert len(modules) == 2 + 6 * sizes.layers
    assert set(modules.values()) == set(WEIGHT_SITES)
    model = BertClassifier(sizes, QuantSpec())
    assert all(model.get_submodule(path).get_parameter("weight").ndim == 2 for path in modules)


def test_other_parameters_stay_in_full_precision(sizes: Architecture) -> None:
    model = BertClassifier(sizes, QuantSpec())
    matrices = {name.removesuffix(".weight") for name, tensor in model.named_parameters() if tensor.ndim == 2}
    remaining = matrices - quantizable_modules(sizes).keys()
    assert remaining == {"bert.embeddings.position_embeddings", "bert.embeddings.token_type_embeddings", "classifier"}


def test_a_module_has_branches_where_weights_or_inputs_are_quantized(
    sizes: Architecture, rounding: type[Rounding]
) -> None:
    spec = QuantSpec(
        weights={Site.POOLER: rounding()},
        inputs={Site.FFN_UP: rounding()},
        branches={"bert.pooler.dense": 2, "bert.encoder.layer.1.output.dense": 3},
    )
    counts = branch_counts(sizes, spec)
    assert {path: count for path, count in counts.items() if count} == {
        "bert.pooler.dense": 2,
        "bert.encoder.layer.0.intermediate.dense": 1,
        "bert.encoder.layer.1.intermediate.dense": 1,
        "bert.encoder.layer.1.output.dense": 3,
    }


def test_branch_prefixes_are_those_of_the_parameters(sizes: Architecture, everywhere: QuantSpec) -> None:
    spec = everywhere.with_branches({"bert.pooler.dense": 2})
    names = BertClassifier(sizes, spec).state_dict()
    for path, count in branch_counts(sizes, spec).items():
        assert all(branch_prefix(path, branch, count) + "weight" in names for branch in range(count))


def test_all_errors_of_a_specification_are_reported(sizes: Architecture, rounding: type[Rounding]) -> None:
    spec = QuantSpec(
        weights={Site.ATTENTION_KEY: rounding()},
        inputs={Site.WORD_EMBEDDING: rounding()},
        attention={Site.POOLER: rounding()},
        activation="swish",
        branches={"bert.pooler.dens": 2, "bert.pooler.dense": 0},
    )
    with pytest.raises(UserError) as raised:
        check_spec(sizes, spec)
    lines = str(raised.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "weights",
        "inputs",
        "attention",
        "branches",
        "branches",
        "activation",
    ]
    assert "did you mean 'bert.pooler.dense'?" in lines[3]
    assert "at least 1" in lines[4]


def test_a_module_of_a_layer_that_is_not_there_is_refused(sizes: Architecture) -> None:
    spec = QuantSpec(branches={"bert.encoder.layer.1.output.dense": 2})
    check_spec(sizes, spec)
    with pytest.raises(UserError, match=r"no site 'bert\.encoder\.layer\.1\.output\.dense'"):
        check_spec(evolve(sizes, layers=1), spec)
