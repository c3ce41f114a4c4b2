from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.training.seed import derive_seed, seeded

names = st.lists(st.text(max_size=5) | st.integers(0, 100), max_size=3)


@given(st.integers(0, 2**40), names, names)
def test_generators_depend_on_seed_and_names_alone(seed: int, some: list[str | int], others: list[str | int]) -> None:
    assert 0 <= derive_seed(seed, *some) < 2**63
    assert (derive_seed(seed, *some) == derive_seed(seed, *others)) == (some == others)
    assert derive_seed(seed, *some) != derive_seed(seed + 1, *some)


def test_seeding_is_repeatable_and_restores_the_global_state() -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    first = torch.rand(2)
    with seeded(1):
        inside = torch.rand(2)
    with seeded(1):
        assert torch.equal(torch.rand(2), inside)
    assert torch.equal(torch.cat([first, torch.rand(2)]), expected)
