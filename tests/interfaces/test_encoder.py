from __future__ import annotations

from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.testing.stage_runner import TinyTestEncoder
from bebertlab.testing.tiny import tiny_task


def test_an_encoder_need_not_know_its_sizes_before_it_runs() -> None:
    assert EncoderOptions.plan(TinyTestEncoder(), tiny_task()) is None
