"""The low-bit models that are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from attrs import frozen

from bebertlab.bench.row import Goal, Missing
from bebertlab.bench.setting import Setting
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_tensor
from bebertlab.model.slice import scaled_width
from bebertlab.model.spec import quantizable_modules
from bebertlab.training.seed import derive_seed


@frozen(kw_only=True)
class Scheme:
    """A scheme with its options, and whether the weights are split."""

    name: str  #: in the names of rows
    what: str  #: for people
    options: Mapping[str, Any]  #: as in YAML
    split: bool = False  #: half as wide, and every matrix a sum of two: as many numbers as the full-precision model's

    def installed(self, setting: Setting) -> bool:
        """Whether a plugin has the kind."""
        return self.options["kind"] in setting.codec.registry.kinds("scheme")

    def build(self, setting: Setting) -> BertClassifier:
        """A model with random weights, on the device."""
        spec = setting.codec.load(dict(self.options), SchemeOptions).spec()  # type: ignore[type-abstract]
        sizes = self.sizes(setting.sizes)
        if self.split:
            spec = spec.with_branches(dict.fromkeys(quantizable_modules(sizes), 2))
        return build_model(sizes, spec, setting)

    def sizes(self, full: Architecture) -> Architecture:
        """The sizes of the model, by those of the full-precision one."""
        return scaled_width(full, 0.5) if self.split else full


W1A8 = Scheme(
    name="w1a8", what="W1A8 split", options={"kind": "binarybert", "weight_bits": 1, "activation_bits": 8}, split=True
)
W1A4 = Scheme(
    name="w1a4",
    what="W1A4 split (LSQ)",
    options={"kind": "binarybert", "weight_bits": 1, "activation_bits": 4},
    split=True,
)
BIBERT = Scheme(name="bibert", what="BiBERT", options={"kind": "bibert"})
BIT = Scheme(name="bit", what="BiT", options={"kind": "bit"})

SCHEMES = (W1A8, W1A4, BIBERT, BIT)


def by_scheme(wanted: Sequence[Goal], setting: Setting) -> tuple[list[tuple[Goal, Scheme]], list[Missing]]:
    """The targets that are named after schemes, each with its own, and those whose scheme no plugin has."""
    named = [(target, scheme) for target in wanted for scheme in SCHEMES if scheme.name == target.member]
    there = [(target, scheme) for target, scheme in named if scheme.installed(setting)]
    missing = [
        Missing(target=target, reason=f"no plugin has the scheme '{scheme.options['kind']}'")
        for target, scheme in named
        if not scheme.installed(setting)
    ]
    return there, missing


def full_precision(setting: Setting, width: float = 1.0) -> BertClassifier:
    """The model without quantizers, or the part of its width that a split model learns from."""
    return build_model(scaled_width(setting.sizes, width), QuantSpec(), setting)


def build_model(sizes: Architecture, spec: QuantSpec, setting: Setting) -> BertClassifier:
    """A model with random weights and fresh quantizers, on the device of the setting.

    Not split from a trained one: how long a step takes does not depend on the numbers.
    """
    model = BertClassifier(sizes, spec)
    generator = torch.Generator().manual_seed(derive_seed(setting.seed, "weights"))
    own = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, Quantizer)
        for parameter in module.parameters()
    }
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if id(parameter) not in own:
                parameter.copy_(random_tensor(name, parameter.shape, generator))
    return model.to(setting.device)
