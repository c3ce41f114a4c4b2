"""What a model takes when its matrices are packed."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor, nn

from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.design import branch_counts, branch_prefix

_FULL = 32
_BITS_A_MEBIBYTE = 8 * 2**20


@frozen(kw_only=True)
class ModelSize:
    """Bits of a model, every branch counted."""

    matrix_bits: int  #: word embedding, the linear maps of the layers, pooler: elements times their bits
    scale_bits: int  #: steps and offsets that turn their levels into numbers
    remainder_bits: int  #: all else in full precision: biases, LayerNorms, positions, segments, classifier, clips

    @property
    def total_bits(self) -> int:
        """Everything that must be stored."""
        return self.matrix_bits + self.scale_bits + self.remainder_bits

    @property
    def matrix_mebibytes(self) -> float:
        """Bits of the matrices in MiB (2^20 bytes)."""
        return self.matrix_bits / _BITS_A_MEBIBYTE

    @property
    def total_mebibytes(self) -> float:
        """Everything in MiB (2^20 bytes)."""
        return self.total_bits / _BITS_A_MEBIBYTE


def model_size(model: BertClassifier) -> ModelSize:
    """Count the bits of a model.

    Parameters of quantizers count as remainder; the flags that say they are set do not count.
    """
    matrix_bits = scale_bits = matrix_elements = 0
    for path, count in branch_counts(model.architecture, model.design).items():
        for branch in range(max(count, 1)):
            module = model.get_submodule(branch_prefix(path, branch, count).rstrip("."))
            weight, quantizer = _matrix(module)
            matrix_elements += weight.numel()
            matrix_bits += weight.numel() * (_FULL if quantizer is None else quantizer.bits)
            scale_bits += 0 if quantizer is None else _scales(quantizer, weight) * _FULL
    elements = sum(parameter.numel() for parameter in model.parameters())
    return ModelSize(
        matrix_bits=matrix_bits, scale_bits=scale_bits, remainder_bits=(elements - matrix_elements) * _FULL
    )


def _matrix(module: nn.Module) -> tuple[Tensor, Quantizer | None]:
    weight = module.get_parameter("weight")
    quantizer = getattr(module, "weight_quantizer", None)
    return weight, quantizer if isinstance(quantizer, Quantizer) else None


@torch.no_grad()
def _scales(quantizer: Quantizer, weight: Tensor) -> int:
    codes = quantizer.encode(weight)
    return codes.step.numel() + (0 if codes.offset is None else codes.offset.numel())
