from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bebertlab.interfaces.quantizer import TERNARY, Codes
from bebertlab.packed.modules import FloatMatrix, LinearPart, PackedEmbedding, PackedLinear, PackedMatrix
from bebertlab.packed.weight import PackedWeight
from bebertlab_binarybert.uniform import Uniform


@pytest.fixture
def codes() -> Codes:
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(-1, 2, (5, 9), generator=generator, dtype=torch.int8)
    return Codes(levels=levels, step=torch.rand(5, 1, generator=generator), alphabet=TERNARY)


@pytest.fixture
def matrix(codes: Codes) -> PackedMatrix:
    return PackedMatrix(PackedWeight.of(codes))


def test_a_packed_matrix_gives_its_codes_and_single_rows(codes: Codes, matrix: PackedMatrix) -> None:
    values = codes.decode()
    assert torch.equal(matrix.codes().decode(), values)
    rows = torch.tensor([4, 0, 0, 2])
    assert torch.equal(matrix.rows(rows), values[rows])
    assert torch.equal(FloatMatrix(values).rows(rows), values[rows])


@pytest.mark.parametrize("offset", [torch.tensor(0.5), torch.arange(5.0)[:, None]])
def test_rows_have_their_offset(codes: Codes, offset: Tensor) -> None:
    shifted = Codes(levels=codes.levels, step=torch.tensor(0.25), offset=offset, alphabet=TERNARY)
    rows = torch.tensor([3, 1])
    assert torch.equal(PackedMatrix(PackedWeight.of(shifted)).rows(rows), shifted.decode()[rows])


def test_an_embedding_sums_the_rows_of_its_branches(codes: Codes, matrix: PackedMatrix) -> None:
    other = torch.randn(5, 9, generator=torch.Generator().manual_seed(1))
    tokens = torch.tensor([[0, 4, 1], [1, 1, 3]])
    expected = codes.decode()[tokens] + other[tokens]
    assert torch.equal(PackedEmbedding([matrix, FloatMatrix(other)])(tokens), expected)


def test_a_linear_map_sums_the_products_of_its_branches(codes: Codes, matrix: PackedMatrix) -> None:
    quantizer = Uniform().build(torch.Size([9])).eval()
    biases = [torch.arange(5.0), torch.ones(5)]
    parts = [LinearPart(matrix=matrix, bias=bias, quantizer=quantizer) for bias in biases]
    x = torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(1))
    expected = F.linear(quantizer(x), 2 * codes.decode(), biases[0] + biases[1])
    for exact in (True, False):
        linear = PackedLinear(parts, exact=exact)
        assert linear.quantizes_input
        torch.testing.assert_close(linear(x), expected)
        assert torch.equal(linear(x, first_token=True), linear(x)[:, :1])


def test_a_linear_map_without_quantizer_takes_its_input_as_it_is(codes: Codes, matrix: PackedMatrix) -> None:
    linear = PackedLinear([LinearPart(matrix=matrix, bias=torch.zeros(5), quantizer=None)], exact=True)
    x = torch.randn(4, 9, generator=torch.Generator().manual_seed(1))
    assert not linear.quantizes_input
    torch.testing.assert_close(linear(x), x @ codes.decode().T)
