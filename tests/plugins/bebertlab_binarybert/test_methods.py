from __future__ import annotations

import pytest

from bebertlab_binarybert.methods import ACTIVATIONS, WEIGHTS, Methods


def test_the_paper_chooses_where_the_user_does_not() -> None:
    assert [WEIGHTS.choose(bits, None) for bits in (1, 2, 4, 8, 32)] == ["bwn", "twn", "uniform", "uniform", None]
    assert [ACTIVATIONS.choose(bits, None) for bits in (4, 8, 32)] == ["lsq", "uniform", None]


def test_a_named_method_takes_the_bits_it_has() -> None:
    assert WEIGHTS.choose(3, "laq") == "laq"
    assert ACTIVATIONS.choose(2, "lsq") == "lsq"


@pytest.mark.parametrize(
    ("methods", "bits", "named", "reason"),
    [
        (WEIGHTS, 3, None, r"'weight_bits' must be 1 \(bwn\), .* or 32 \(none\), .*laq 1 to 16.*: 3"),
        (ACTIVATIONS, 2, None, r"'activation_bits' must be 4 \(lsq\), 8 \(uniform\) .*: 2"),
        (ACTIVATIONS, 1, "lsq", "must be 2 to 16 for `activations: lsq`: 1"),
        (WEIGHTS, 2, "bwn", "must be 1 for `weights: bwn`: 2"),
        (WEIGHTS, 32, "twn", "must be 2 for `weights: twn`: 32"),
        (WEIGHTS, 2, "twm", "'weights' must be one of bwn, twn, laq, uniform: twm"),
    ],
)
def test_what_no_method_has_is_refused_with_the_reason(
    methods: Methods, bits: int, named: str | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        methods.choose(bits, named)
