"""What all rows of a run have in common."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from attrs import frozen

from bebertlab.bench.shape import SHAPES
from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.architecture import Architecture
from bebertlab.registry.manager import load_plugins


@frozen(kw_only=True)
class Setting:
    """Plain data, so that another process can be told."""

    shape: str = "minilm"  #: a key of `SHAPES`
    device: str = "cpu"
    threads: int = 1  #: of torch
    seed: int = 0
    quick: bool = False  #: as few repeats as still say something
    batch_size: int = 32  #: sentences a step
    plugins: tuple[Path, ...] = ()  #: one-file plugins

    @property
    def sizes(self) -> Architecture:
        """The sizes of the full-precision model."""
        return SHAPES[self.shape]

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.startswith("cuda")

    @property
    def turns(self) -> int:
        """How often every block is repeated."""
        return 3 if self.quick else 7

    @property
    def steps(self) -> int:
        """Training steps of a block."""
        if self.on_gpu:
            return 10 if self.quick else 20
        return 1 if self.quick else 2

    @property
    def codec(self) -> OptionsCodec:
        """Options from plain data, with everything that is installed."""
        return _codec(self.plugins)


@cache
def _codec(plugins: tuple[Path, ...]) -> OptionsCodec:
    return OptionsCodec(load_plugins(plugins).registry)
