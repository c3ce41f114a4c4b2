from __future__ import annotations

from pathlib import Path

import pytest
from attrs import frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.stage import Context, Inputs, StageOptions, stage_input
from bebertlab.registry.manager import load_plugins
from bebertlab.testing.stage_runner import StageRunner, TinyTestEncoder
from bebertlab.testing.tiny import tiny_model, tiny_task


@frozen(kw_only=True)
class Copy(StageOptions):
    kind = "copy"
    source: str | None = stage_input(optional=True)

    def run(self, inputs: Inputs, context: Context) -> None:
        before = "".join((one.folder / "text").read_text() for one in inputs.many("source"))
        (context.folder / "text").write_text(f"{before}{context.stage}{context.seed} ")


@pytest.fixture
def bench(tmp_path: Path) -> StageRunner:
    return StageRunner(tmp_path, OptionsCodec(load_plugins().registry))


def test_stages_read_what_others_wrote(bench: StageRunner) -> None:
    first = bench.run(Copy(), tiny_task(), name="a")
    second = bench.run(Copy(source="a"), tiny_task(), seed=2, name="b", source=first)
    both = bench.run(Copy(source="x"), tiny_task(), name="c", source=(first, second))
    assert (both.folder / "text").read_text() == "a0 a0 b2 c0 "
    assert len({first.key, second.key, both.key}) == 3


def test_the_encoder_is_that_of_the_tiny_task(tmp_path: Path) -> None:
    encoder = TinyTestEncoder()
    tokenizer = encoder.tokenizer(["the film"])
    tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "tokenizer.json").is_file()
    checkpoint = encoder.checkpoint(len(tokenizer), 2, 0)
    assert checkpoint.architecture == tiny_model(tiny_task()).architecture
