from __future__ import annotations

from attrs import evolve

from bebertlab.accounting.cost import model_cost
from bebertlab.accounting.operations import model_operations
from bebertlab.accounting.published import published_architecture
from bebertlab.accounting.size import MEBIBYTE, model_size
from bebertlab.model.bert import meta_model
from bebertlab_binarybert import BinaryBert

BASE = published_architecture("bert-base-uncased", classes=2)
SPEC = BinaryBert(activation_bits=4).spec()


def test_every_figure_is_a_sum_of_parts() -> None:
    data = model_cost(BASE, SPEC, 128).data()
    parts, sizes = data["parts_mebibytes"], data["mebibytes"]
    matrices = parts["word_embedding"] + parts["encoder"] + parts["pooler"]
    assert sizes["matrices"] == matrices
    assert sizes["matrices_biases"] == matrices + parts["biases"]
    assert sizes["matrices_biases_positions"] == matrices + parts["biases"] + parts["positions"]
    assert abs(sizes["total"] - sum(parts.values())) < 1e-9
    assert sizes["total"] == model_size(meta_model(BASE, SPEC)).total_mebibytes
    assert abs(sizes["total"] - sizes["total_without_positions"] - parts["positions"]) < 1e-9
    assert data["gigaflops"]["total"] == model_operations(BASE, SPEC).gigaflops
    assert data["gigaflops"]["total"] == data["gigaflops"]["linear"] + data["gigaflops"]["attention"]


def test_members_share_nothing() -> None:
    item, three = model_cost(BASE, SPEC, 128), model_cost(BASE, SPEC, 128).times(3)
    assert three.stored == 3 * item.stored
    assert {name: 3 * value for name, value in item.data()["mebibytes"].items()} == three.data()["mebibytes"]
    assert three.operations.total == 3 * item.operations.total


def test_the_stored_file_may_be_that_of_the_disk() -> None:
    cost = evolve(model_cost(BASE, SPEC, 128), stored=5 * MEBIBYTE)
    assert cost.data()["mebibytes"]["stored"] == 5.0
