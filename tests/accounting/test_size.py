from __future__ import annotations

from pathlib import Path

import pytest
import torch
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from bebertlab.accounting.size import ModelSize, mebibytes, model_size, scale_count, site_bits, tensor_bytes
from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.architecture import ATTENTION_SITES, LINEAR_SITES, Architecture, Checkpoint, QuantSpec, Site
from bebertlab.interfaces.quantizer import Alphabet, Codes, Quantizer, QuantizerOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.folder import TENSORS, save_model
from bebertlab.model.spec import quantizable_modules
from bebertlab.registry.manager import load_plugins
from bebertlab_bibert import BibertScheme
from bebertlab_binarybert import BinaryBert, Bwn, Lsq, TernaryBert, Twn, Uniform

BASE = Architecture(vocabulary=30522, positions=512, hidden=768, heads=12, head_size=64, ffn=3072, layers=12, classes=2)
HALF = evolve(BASE, heads=6, ffn=1536)
ROWS = QuantSpec(weights=dict.fromkeys((Site.WORD_EMBEDDING, *LINEAR_SITES), Bwn(granularity="row")))
REGISTRY = load_plugins().registry


def base(spec: QuantSpec, architecture: Architecture = BASE) -> ModelSize:
    return model_size(meta_model(architecture, spec))


def split(spec: QuantSpec, architecture: Architecture = HALF) -> QuantSpec:
    return spec.with_branches(dict.fromkeys(quantizable_modules(architecture), 2))


def test_full_precision_counts_every_parameter(checkpoint: Checkpoint) -> None:
    size = model_size(BertClassifier.from_checkpoint(checkpoint))
    assert size.total_bits == 32 * sum(tensor.numel() for tensor in checkpoint.tensors.values())
    assert size.scales == size.steps == 0


def test_a_small_model_matches_manual_calculation(sizes: Architecture) -> None:
    """One layer, hidden 16, attention 12, feed-forward 24, 30 words, 12 positions, 2 segments, 3 classes."""
    spec = QuantSpec(
        weights={Site.WORD_EMBEDDING: Twn(granularity="row"), **dict.fromkeys(LINEAR_SITES, Bwn())},
        inputs=dict.fromkeys(LINEAR_SITES, Lsq()),
        branches={"bert.pooler.dense": 2},
    )
    size = model_size(BertClassifier(evolve(sizes, layers=1), spec))
    assert size == ModelSize(
        word_embedding=2 * 30 * 16,
        encoder=3 * 16 * 12 + 12 * 16 + 16 * 24 + 24 * 16,
        pooler=2 * 16 * 16,
        scales=32 * (30 + 6 + 2),
        steps=32 * (6 + 2),
        biases=32 * (3 * 12 + 16 + 24 + 16 + 2 * 16 + 3 * 2 * 16),
        positions=32 * (12 + 2) * 16,
        classifier=32 * (3 * 16 + 3),
    )
    assert size.matrix_bits == size.word_embedding + size.encoder + size.pooler
    assert size.total_bits == size.matrix_bits + size.scales + size.remainder_bits
    assert size.times(3).total_bits == 3 * size.total_bits


def test_the_published_size_of_full_precision() -> None:
    """The classifier is not in the published number of parameters, 109,482,240."""
    size = base(QuantSpec())
    assert size.total_bits - size.classifier == 32 * 109_482_240
    assert size.total_mebibytes == pytest.approx(417.65, abs=0.01)


def test_the_published_sizes_of_ternarybert() -> None:
    size = base(TernaryBert().spec())
    assert size.matrix_mebibytes == pytest.approx(25.98, abs=0.005)
    assert mebibytes(size.matrix_bits + size.biases + size.positions) == pytest.approx(27.95, abs=0.005)


@pytest.mark.parametrize("spec", [ROWS, BibertScheme().spec()])
def test_the_published_sizes_of_one_bit_with_a_scale_for_each_row(spec: QuantSpec) -> None:
    """Papers count neither the scales nor the positions; with positions it is 14.96."""
    size = base(spec)
    assert mebibytes(size.matrix_bits + size.biases) == pytest.approx(13.46, abs=0.005)
    assert mebibytes(size.matrix_bits + size.biases + size.positions) == pytest.approx(14.96, abs=0.005)
    rows = 30522 + 12 * (5 * 768 + 3072) + 768
    assert size.scales == 32 * rows


def test_the_published_sizes_of_a_half_wide_model_after_the_split() -> None:
    """16.3 to 18.0 by what is counted; papers print 16.5. The biases of both branches count, as in a stored model."""
    size = base(split(BinaryBert().spec()), HALF)
    assert size.word_embedding == 2 * 30522 * 768
    assert size.encoder == 12 * (4 * 768 * 768 + 2 * 768 * 3072)
    assert size.matrix_mebibytes == pytest.approx(15.85, abs=0.005)
    assert mebibytes(size.matrix_bits + size.biases) == pytest.approx(16.39, abs=0.005)
    assert mebibytes(size.matrix_bits + size.biases + size.scales) == pytest.approx(16.6, abs=0.05)
    assert mebibytes(size.matrix_bits + size.biases + size.positions) == pytest.approx(17.9, abs=0.005)
    assert size.total_mebibytes == pytest.approx(18.14, abs=0.005)


def test_a_wide_split_model_is_as_large_as_the_ternary_model() -> None:
    size = base(split(BinaryBert().spec(), BASE))
    assert size.matrix_bits == base(TernaryBert().spec()).matrix_bits


@pytest.mark.parametrize("kind", REGISTRY.kinds("scheme"))
def test_every_scheme_is_counted_whole(kind: str, sizes: Architecture) -> None:
    """The parameters counted by name and specification are exactly those of a real model."""
    options = REGISTRY.find("scheme", kind)()
    assert isinstance(options, SchemeOptions)
    spec = options.spec()
    model = BertClassifier(sizes, spec)
    size = model_size(model)
    assert size == model_size(meta_model(sizes, spec))
    matrices = {f"{path}.weight" for path in quantizable_modules(sizes)}
    counted = sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if name.replace(".branches.0", "") not in matrices and "weight_quantizer" not in name
    )
    assert size.remainder_bits == 32 * counted
    assert (size.steps > 0) is any("input_quantizer" in name for name, _ in model.named_parameters())


def test_the_weights_of_a_meta_model_take_no_memory_and_its_quantizers_are_real() -> None:
    state = meta_model(BASE, BinaryBert(activation_bits=4).spec()).state_dict()
    devices = {name: tensor.device.type for name, tensor in state.items()}
    assert {device for name, device in devices.items() if "quantizer" not in name} == {"meta"}
    assert {device for name, device in devices.items() if "quantizer" in name} == {"cpu"}
    assert sum(tensor.numel() for name, tensor in state.items() if "quantizer" in name) < 1e-5 * sum(
        tensor.numel() for tensor in state.values()
    )


@frozen(kw_only=True)
class Reading(QuantizerOptions):
    """Reads a tensor value while it is built."""

    kind = "reading"

    def build(self, shape: torch.Size) -> Quantizer:
        return ReadingQuantizer()


class ReadingQuantizer(Quantizer):
    def __init__(self) -> None:
        super().__init__()
        self.alphabet = Alphabet.unsigned(int(torch.tensor(3.0)))
        self.step = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x

    def encode(self, x: Tensor) -> Codes:
        return Codes(levels=x.int(), step=self.step, alphabet=self.alphabet)


def test_a_quantizer_that_needs_real_tensors_is_counted(sizes: Architecture) -> None:
    size = model_size(meta_model(sizes, QuantSpec(weights={Site.POOLER: Reading()}, inputs={Site.POOLER: Reading()})))
    assert size.pooler == 3 * sizes.hidden**2
    # the learned state of a weight quantizer is part of the scales, and counted once
    assert size.scales == size.steps == 32
    assert size.biases == model_size(meta_model(sizes, QuantSpec())).biases


@pytest.mark.parametrize("activation", [Lsq(), Uniform(), None])
def test_tensor_bytes_are_those_of_the_file(
    sizes: Architecture, activation: QuantizerOptions | None, tmp_path: Path
) -> None:
    inputs = {} if activation is None else dict.fromkeys(LINEAR_SITES, activation)
    attention = {} if activation is None else dict.fromkeys(ATTENTION_SITES, activation)
    spec = QuantSpec(weights={Site.QUERY: Bwn()}, inputs=inputs, attention=attention)
    save_model(BertClassifier(sizes, spec), tmp_path, OptionsCodec(REGISTRY))
    stored = (tmp_path / TENSORS).read_bytes()
    header = 8 + int.from_bytes(stored[:8], "little")
    assert tensor_bytes(meta_model(sizes, spec)) == len(stored) - header


def test_every_quantized_site_has_its_bits() -> None:
    bits = site_bits(BinaryBert(weight_bits=2, activation_bits=4).spec())
    assert bits.weights == dict.fromkeys((Site.WORD_EMBEDDING, *LINEAR_SITES), 2)
    assert bits.inputs == dict.fromkeys(LINEAR_SITES, 4)
    assert bits.attention == dict.fromkeys(ATTENTION_SITES, 4)


def test_sites_without_quantizers_have_no_bits() -> None:
    bits = site_bits(QuantSpec(weights={Site.QUERY: Bwn()}, inputs={Site.KEY: Lsq(bits=3)}))
    assert (bits.weights, bits.inputs, bits.attention) == ({Site.QUERY: 1}, {Site.KEY: 3}, {})


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (Bwn(), 1),
        (Bwn(granularity="row"), 40),
        (Twn(granularity="row"), 40),
        (Uniform(bits=8), 1),
        (Uniform(bits=8, symmetric=False), 2),
        (Uniform(bits=8, symmetric=False, granularity="row"), 80),
    ],
)
def test_scales_match_manual_calculation(options: QuantizerOptions, count: int) -> None:
    assert scale_count(options, torch.Size([40, 7])) == count


@pytest.mark.parametrize("kind", REGISTRY.kinds("quantizer"))
@given(rows=st.integers(2, 9), columns=st.integers(2, 9))
def test_scales_are_those_of_a_real_weight(kind: str, rows: int, columns: int) -> None:
    options = REGISTRY.find("quantizer", kind)()
    assert isinstance(options, QuantizerOptions)
    shape = torch.Size([rows, columns])
    codes = options.build(shape).eval().encode(torch.randn(shape))
    offsets = 0 if codes.offset is None else codes.offset.numel()
    assert scale_count(options, shape) == codes.step.numel() + offsets
