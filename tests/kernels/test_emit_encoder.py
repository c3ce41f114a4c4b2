from __future__ import annotations

import pytest

from bebertlab.kernels.emit import Emitter
from bebertlab.kernels.emit_attention import ATTENTION_PARAMETERS
from bebertlab.kernels.emit_encoder import CALL_FIELDS, LAYER_FIELDS, MODEL_FIELDS, QUERY_FIELDS, emit_encoder
from bebertlab.kernels.emit_softmax import (
    LIMIT_PARAMETERS,
    LIMITED_PARAMETERS,
    PROBABILITY_PARAMETERS,
    SCORE_PARAMETERS,
)


def test_fields_have_one_meaning() -> None:
    fields = [*MODEL_FIELDS, *CALL_FIELDS, *LAYER_FIELDS, *QUERY_FIELDS]
    assert len(fields) == len({*fields})
    for parameters in (ATTENTION_PARAMETERS, PROBABILITY_PARAMETERS, LIMITED_PARAMETERS):
        assert {*parameters} - {*fields} == {"out", "out_words"}  # named for what they are in the encoder
    assert {*SCORE_PARAMETERS, *LIMIT_PARAMETERS} <= {*fields}


@pytest.mark.parametrize("native_popcount", [False, True])
def test_the_code_holds_no_address(native_popcount: bool) -> None:
    """All integers are small: sizes of words and tiles, and masks."""
    pytest.importorskip("llvmlite")
    emitter = Emitter(native_popcount=native_popcount, tile_rows=8)
    emit_encoder(emitter)
    constants = [token.rstrip(",>)") for line in str(emitter.module).splitlines() for token in line.split()]
    assert max(int(token) for token in constants if token.lstrip("-").isdigit()) < 2**32
