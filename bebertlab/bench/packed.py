"""Packed models of the benchmark: written to files and read from them, with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from attrs import evolve

from bebertlab.bench.data import generated_batches
from bebertlab.bench.models import BenchConfig, BenchScheme
from bebertlab.data.tokenizer import read_tokenizer
from bebertlab.errors import UserError
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.kernels.compiler import load_kernels
from bebertlab.kernels.target import KernelTarget
from bebertlab.model.bert import BertClassifier
from bebertlab.packed.encoder import PackedEncoder
from bebertlab.packed.model import ENCODER, PackedModel
from bebertlab.packed.read import read_packed
from bebertlab.packed.write import PackReport, PackSource, write_packed

_CALIBRATION_SENTENCES, _CALIBRATION_TOKENS = 4, 32
_RULE = "weighted_mean"  #: of ensembles


def build_trained(scheme: BenchScheme, config: BenchConfig) -> BertClassifier:
    """A model with random weights whose quantizers have seen a batch, in evaluation mode."""
    model = scheme.build(config).train()
    lengths = np.full(_CALIBRATION_SENTENCES, _CALIBRATION_TOKENS, dtype=np.int64)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # of dropout
        for batch in generated_batches(lengths, _CALIBRATION_SENTENCES, config):
            model(batch)
    return model.eval()


def pack_scheme(scheme: BenchScheme, config: BenchConfig, folder: Path, *, members: int = 1) -> PackReport:
    """Write a packed model, or an ensemble of members with different weights, to a new folder.

    Raises:
        UserError: no plugin provides the scheme, the tokenizer or the rule of ensembles.
    """
    models = [build_trained(scheme, evolve(config, seed=config.seed + number)) for number in range(members)]
    rule = config.codec.load(_RULE, MergerOptions) if members > 1 else None  # type: ignore[type-abstract]
    tokenizer = folder.with_name(f"{folder.name}-tokenizer")
    options = {"kind": "tiny", "maximum_tokens": config.architecture.positions, "words": 0}
    encoder = config.codec.load(options, EncoderOptions)  # type: ignore[type-abstract]
    encoder.tokenizer([]).save_pretrained(tokenizer)
    source = PackSource(models=models, tokenizer=read_tokenizer(tokenizer), weights=(1.0,) * members, rule=rule)
    return write_packed(source, folder, config.codec)


def load_packed(folder: Path, config: BenchConfig, target: KernelTarget | None = None) -> PackedModel:
    """The packed model in a folder, as the product loads it; or with encoders of signs compiled for another CPU.

    Raises:
        UserError: a target is given, and an encoder is not computed by generated code.
    """
    model = PackedModel.of(read_packed(folder, config.codec), device=config.device)
    if target is None:
        return model
    for member in model.members:
        encoder = member.network.get_submodule(ENCODER)
        if not isinstance(encoder, PackedEncoder):
            raise UserError("the encoder is not computed by generated code here")
        member.network.set_submodule(ENCODER, encoder.with_kernels(load_kernels("encoder", target)))
    return model
