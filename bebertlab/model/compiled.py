"""Layers that are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bebertlab.errors import SetupError
from bebertlab.interfaces.batch import Tap
from bebertlab.model.attention import TapRecorder
from bebertlab.model.bert import BertClassifier

#: the pattern matcher stops at attention whose mask is broadcast (torch 2.13)
_OPTIONS = {"pattern_matcher": False}
#: the most kinds of layers and sizes that a process compiles; beyond, torch runs layers uncompiled, with a warning
_MOST = 64


def compile_layers(model: BertClassifier, **options: Any) -> None:  # noqa: ANN401 - of `torch.compile`
    """Compile the layers of a model for training: one compiled function for all of them.

    Quantizers must have seen a batch, since the first one sets state, which is not compiled. The results are as good as
    without, but not bit-identical.

    Raises:
        SetupError: in the next step; torch finds no compiler here.
    """
    model.bert.encoder.compiled = CompiledLayer(torch.compile(_run, **(options or {"options": _OPTIONS})))


def plain_layers(model: BertClassifier) -> None:
    """Run layers without compilation again."""
    model.bert.encoder.compiled = None


class CompiledLayer:
    """Runs any layer by a function compiled once for all layers, batch sizes and lengths."""

    def __init__(self, run: Callable[..., tuple[Tensor, TapRecorder]]) -> None:
        self._run = run

    def __call__(self, layer: nn.Module, hidden: Tensor, mask: Tensor, kept: TapRecorder) -> Tensor:
        """The next hidden states; the taps that `kept` has lists for are added."""
        for tensor, sizes in ((hidden, (0, 1)), (mask, (0, 3))):
            torch._dynamo.maybe_mark_dynamic(tensor, sizes)
        # lists that are as long as there are layers before would be another case for each layer
        taps = tuple(tap for tap in kept if tap is not Tap.HIDDEN)
        try:
            with torch._dynamo.config.patch(recompile_limit=_MOST):
                output, own = self._run(layer, hidden, mask, taps)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            raise SetupError(
                f"train.compile: torch cannot compile here: {error.inner_exception}. On a CPU it needs a C++ compiler"
                " (g++), on a GPU triton; train.compile=false trains without"
            ) from error
        for tap, values in own.items():
            kept[tap] += values
        return output


def _run(layer: nn.Module, hidden: Tensor, mask: Tensor, taps: tuple[Tap, ...]) -> tuple[Tensor, TapRecorder]:
    kept: TapRecorder = {tap: [] for tap in taps}
    return layer(hidden, mask, kept), kept
