from __future__ import annotations

import pytest

from bebertlab.accounting.size import model_size
from bebertlab.api import Checkpoint, QuantSpec, Site, model_operations, quantizable_modules
from bebertlab.model.bert import meta_model
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_binarybert import BinaryBert, Bwn
from bebertlab_binarybert.costs import Costs

DESIGNS = [
    BinaryBert().spec(),
    BinaryBert(activation_bits=4, as_published=True).spec(),
    BinaryBert(activation_bits=32).spec(),
    QuantSpec(weights={Site.POOLER: Bwn(), Site.KEY: Bwn()}),
]


def checkpoint(spec: QuantSpec) -> Checkpoint:
    return tiny_model(tiny_task(), spec).checkpoint()


@pytest.mark.parametrize("spec", DESIGNS)
def test_are_those_that_models_report(spec: QuantSpec) -> None:
    source = checkpoint(spec)
    sizes, costs = source.architecture, Costs(source, spec)
    assert costs.single("mebibytes") == model_size(meta_model(sizes, spec)).matrix_bits
    assert costs.single("gigaflops") == model_operations(sizes, spec, sizes.positions).total
    for path, site in quantizable_modules(sizes).items():
        if site in spec.weights:
            split = spec.with_branches({path: 2})
            bits = model_size(meta_model(sizes, split)).matrix_bits
            assert costs.single("mebibytes") + costs.second(path, "mebibytes") == bits
            operations = model_operations(sizes, split, sizes.positions).total
            assert costs.single("gigaflops") + costs.second(path, "gigaflops") == operations


def test_second_branches_add_up_to_the_split_model() -> None:
    spec = BinaryBert().spec()
    source = checkpoint(spec)
    costs, paths = Costs(source, spec), quantizable_modules(source.architecture)
    split = spec.with_branches(dict.fromkeys(paths, 2))
    added = sum(costs.second(path, "gigaflops") for path in paths)
    assert costs.single("gigaflops") + added == model_operations(source.architecture, split, 32).total
    assert sum(costs.second(path, "mebibytes") for path in paths) == costs.single("mebibytes")
