from __future__ import annotations

from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.testing.stage_runner import TinyTestEncoder
from bebertlab.testing.tiny import tiny_task


def test_an_encoder_may_learn_its_sizes_at_run_time() -> None:
    assert EncoderOptions.plan(TinyTestEncoder(), tiny_task()) is None
