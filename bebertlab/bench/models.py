"""The subjects of the benchmark: configuration of a run, sizes of the models, quantization schemes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from attrs import frozen

from bebertlab.bench.measurement import MissingRow, RowSpec
from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_tensor
from bebertlab.model.slice import scaled_width
from bebertlab.model.spec import quantizable_modules
from bebertlab.registry.manager import load_plugins
from bebertlab.training.seed import derive_seed


def _bert(*, layers: int, hidden: int, heads: int, head_size: int, ffn: int, vocabulary: int = 30_522) -> Architecture:
    return Architecture(
        vocabulary=vocabulary,
        positions=512,
        layers=layers,
        hidden=hidden,
        heads=heads,
        head_size=head_size,
        ffn=ffn,
        classes=2,
    )


SHAPES: Mapping[str, Architecture] = {
    "tiny": _bert(layers=2, hidden=32, heads=2, head_size=16, ffn=64, vocabulary=2_000),
    "minilm": _bert(layers=6, hidden=384, heads=12, head_size=32, ffn=1536),
    "base": _bert(layers=12, hidden=768, heads=12, head_size=64, ffn=3072),
}


@frozen(kw_only=True)
class BenchConfig:
    """Configuration of a run, shared by all rows. Plain data, because it is sent to worker processes."""

    shape: str = "minilm"  #: a key of `SHAPES`
    device: str = "cpu"
    threads: int = 1  #: of torch
    seed: int = 0
    quick: bool = False  #: fewer repeats and steps
    batch_size: int = 32  #: sentences per step
    plugins: tuple[Path, ...] = ()  #: one-file plugins

    @property
    def architecture(self) -> Architecture:
        """Sizes of the full-precision model."""
        return SHAPES[self.shape]

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.startswith("cuda")

    @property
    def repeats(self) -> int:
        """Recorded repeats of every block."""
        return 3 if self.quick else 7

    @property
    def steps(self) -> int:
        """Training steps per block."""
        if self.on_gpu:
            return 10 if self.quick else 20
        return 1 if self.quick else 2

    @property
    def total_steps(self) -> int:
        """Training steps of all blocks, including one warm-up block."""
        return (self.repeats + 1) * self.steps

    @property
    def codec(self) -> OptionsCodec:
        """Reads options with all installed plugins and those of `plugins`."""
        return _codec(self.plugins)


@cache
def _codec(plugins: tuple[Path, ...]) -> OptionsCodec:
    return OptionsCodec(load_plugins(plugins).registry)


@frozen(kw_only=True)
class BenchScheme:
    """A quantization scheme with its options, and whether its weight matrices are split in two."""

    name: str  #: in names of rows, e.g. `step.w1a8`
    description: str  #: in tables
    options: Mapping[str, Any]  #: as in YAML
    split: bool = False  #: half the width and two branches per matrix: as many weights as in the full-precision model

    def installed(self, config: BenchConfig) -> bool:
        """Whether a plugin provides the scheme."""
        return self.options["kind"] in config.codec.registry.kinds("scheme")

    @property
    def missing_reason(self) -> str:
        """Why its rows are missing where it is not installed."""
        return f"no plugin provides the scheme '{self.options['kind']}'"

    def build(self, config: BenchConfig) -> BertClassifier:
        """A model with random weights on the device of `config`."""
        spec = config.codec.load(dict(self.options), SchemeOptions).spec()  # type: ignore[type-abstract]
        if not self.split:
            return build_model(config.architecture, spec, config)
        architecture = scaled_width(config.architecture, 0.5)
        spec = spec.with_branches(dict.fromkeys(quantizable_modules(architecture), 2))
        return build_model(architecture, spec, config)


W1A8 = BenchScheme(
    name="w1a8",
    description="W1A8 split",
    options={"kind": "binarybert", "weight_bits": 1, "activation_bits": 8},
    split=True,
)
W1A4 = BenchScheme(
    name="w1a4",
    description="W1A4 split (LSQ)",
    options={"kind": "binarybert", "weight_bits": 1, "activation_bits": 4},
    split=True,
)
BIBERT = BenchScheme(name="bibert", description="BiBERT", options={"kind": "bibert"})
BIT = BenchScheme(name="bit", description="BiT", options={"kind": "bit"})

W2A8 = BenchScheme(name="w2a8", description="TernaryBERT W2A8", options={"kind": "ternarybert"})

SCHEMES = (W1A8, W1A4, BIBERT, BIT)  #: that are trained
PACKED_SCHEMES = (BIBERT, BIT, W1A4, W1A8, W2A8)  #: that predict from packed files


def scheme_named(name: str) -> BenchScheme:
    """The scheme with this name."""
    return {scheme.name: scheme for scheme in (*SCHEMES, *PACKED_SCHEMES)}[name]


def match_schemes(
    specs: Sequence[RowSpec], config: BenchConfig
) -> tuple[list[tuple[RowSpec, BenchScheme]], list[MissingRow]]:
    """The rows named after an installed scheme, paired with it, and the rows whose scheme is not installed."""
    named = [(spec, scheme) for spec in specs for scheme in SCHEMES if scheme.name == spec.member]
    installed = [(spec, scheme) for spec, scheme in named if scheme.installed(config)]
    missing = [
        MissingRow(spec=spec, reason=scheme.missing_reason) for spec, scheme in named if not scheme.installed(config)
    ]
    return installed, missing


def full_precision(config: BenchConfig, width: float = 1.0) -> BertClassifier:
    """The model without quantizers, with all or a fraction of its width."""
    return build_model(scaled_width(config.architecture, width), QuantSpec(), config)


def build_model(architecture: Architecture, spec: QuantSpec, config: BenchConfig) -> BertClassifier:
    """A model with random weights and newly built quantizers, on the device of `config`.

    The weights of a split model are not split from a trained one: the time of a step does not depend on their values.
    """
    model = BertClassifier(architecture, spec)
    generator = torch.Generator().manual_seed(derive_seed(config.seed, "weights"))
    of_quantizers = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, Quantizer)
        for parameter in module.parameters()
    }
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if id(parameter) not in of_quantizers:
                parameter.copy_(random_tensor(name, parameter.shape, generator))
    return model.to(config.device)
