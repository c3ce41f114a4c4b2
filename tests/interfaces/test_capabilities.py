from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bebertlab.interfaces.capabilities import (
    CAPABILITIES,
    ParameterGroup,
    is_row_wise,
    parameter_groups,
    transferable_state,
)
from bebertlab.interfaces.quantizer import SIGNS, Codes, Quantizer


class Plain(Quantizer):
    """A quantizer without capabilities."""

    alphabet = SIGNS

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def encode(self, x: Tensor) -> Codes:
        raise NotImplementedError


class Capable(Plain):
    row_wise = True
    transferable_state = frozenset({"gain"})

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(parameters=(self.gain,), weight_decay=0.5)]


def test_the_contract_alone_has_no_capability() -> None:
    assert not [name for name, protocol in CAPABILITIES.items() if isinstance(Plain(), protocol)]


@pytest.mark.parametrize("name", CAPABILITIES)
def test_attributes_of_their_names_make_a_capability(name: str) -> None:
    protocol = CAPABILITIES[name]
    attributes = {other: lambda *_: None for other, of in CAPABILITIES.items() if of is protocol}
    assert isinstance(type("Own", (Plain,), attributes)(), protocol)
    del attributes[name]
    assert not isinstance(type("Own", (Plain,), attributes)(), protocol)


def test_defaults_of_a_quantizer_without_capabilities() -> None:
    quantizer = Plain()
    (group,) = parameter_groups(quantizer)
    assert group.parameters == (quantizer.gain,)
    assert not group.no_decay_group
    assert transferable_state(quantizer) == frozenset()
    assert not is_row_wise(quantizer)


def test_capabilities_that_a_quantizer_declares_are_used() -> None:
    quantizer = Capable()
    assert [group.weight_decay for group in parameter_groups(quantizer)] == [0.5]
    assert transferable_state(quantizer) == {"gain"}
    assert is_row_wise(quantizer)
    quantizer.row_wise = False
    assert not is_row_wise(quantizer)
