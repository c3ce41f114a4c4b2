"""Baseline quantizers for low-bit BERTs: PACT, DoReFa-Net, XNOR-Net, IR-Net, ReActNet and BitNet b1.58."""

from __future__ import annotations

from bebertlab.api import QuantizerOptions, SchemeOptions, hookimpl
from bebertlab_baselines.bitnet import Bitnet, BitnetActivation
from bebertlab_baselines.dorefa import Dorefa, DorefaActivation
from bebertlab_baselines.irnet import Irnet, IrnetActivation
from bebertlab_baselines.pact import Pact
from bebertlab_baselines.react import React, ReactWeight
from bebertlab_baselines.schemes import (
    BitnetScheme,
    DorefaScheme,
    IrnetScheme,
    PactScheme,
    ReactScheme,
    XnorScheme,
)
from bebertlab_baselines.xnor import Xnor

__all__ = [
    "Bitnet",
    "BitnetActivation",
    "BitnetScheme",
    "Dorefa",
    "DorefaActivation",
    "DorefaScheme",
    "Irnet",
    "IrnetActivation",
    "IrnetScheme",
    "Pact",
    "PactScheme",
    "React",
    "ReactScheme",
    "ReactWeight",
    "Xnor",
    "XnorScheme",
]


@hookimpl
def bebertlab_quantizers() -> list[type[QuantizerOptions]]:
    """Quantizers of weights and of activations."""
    return [
        Bitnet,
        BitnetActivation,
        Dorefa,
        DorefaActivation,
        Irnet,
        IrnetActivation,
        Pact,
        React,
        ReactWeight,
        Xnor,
    ]


@hookimpl
def bebertlab_schemes() -> list[type[SchemeOptions]]:
    """Schemes of these quantizers."""
    return [BitnetScheme, DorefaScheme, IrnetScheme, PactScheme, ReactScheme, XnorScheme]
