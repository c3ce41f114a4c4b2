"""Layers with quantized inputs, of which generated code computes what is between torch's products."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Self, cast

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

from bebertlab.inference.modules import ExactAttention, ExactLayerNorm
from bebertlab.interfaces.architecture import Architecture
from bebertlab.kernels.rows import NormAddresses, RowKernels, bits_of
from bebertlab.model.attention import TapRecorder
from bebertlab.model.bert import Encoder, Layer
from bebertlab.packed.level_attention import AttentionBuffers, LevelAttention
from bebertlab.packed.level_linear import LevelLinears, LinearOutputs
from bebertlab.packed.level_values import FLOAT_BYTES, Values, shift_address
from bebertlab.packed.modules import PackedLinear


class NotLevels(Exception):
    """Generated code has nothing to do between the products of an encoder; says why."""


class LevelEncoder(Encoder):
    """The layers of the twin, computed to the same bits with fewer passes over memory.

    The modules stay for what this does not compute: taps and dropout.
    Shape: (B, T, H) -> (B, 1, H).
    """

    _kernels: RowKernels
    _sizes: Architecture
    _layers: list[_LevelLayer]
    _free: deque[_Buffers]  #: that no call uses at the moment

    @classmethod
    def of(cls, encoder: Encoder, packed: Mapping[nn.Module, PackedLinear], sizes: Architecture) -> Self:
        """An encoder with the same modules, of a prepared model in main memory.

        Args:
            encoder: of the prepared model.
            packed: the packed weights of its linear maps.
            sizes: of the model.

        Raises:
            NotLevels: it is not exact: activations are not quantized, or parameters are not finite.
        """
        layers = cast("list[Layer]", [*encoder.layer])
        if not all(_is_exact(layer) for layer in layers):
            raise NotLevels("activations are not quantized, or parameters are not finite")
        levels = object.__new__(cls)
        vars(levels).update(vars(encoder))
        levels._sizes = sizes
        widest = max(sizes.hidden, sizes.heads * sizes.head_size, sizes.ffn, sizes.positions)
        levels._kernels = RowKernels(widest)
        levels._layers = [_LevelLayer.of(layer, packed) for layer in layers]
        levels._free = deque()
        return levels

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """The same encoder: it does not change, and it has the addresses of its tensors."""
        return self

    def replaced(self) -> list[nn.Module]:
        """The linear maps that modules compute no more, whose weights need not be kept unpacked."""
        return [linear for layer in self._layers for linears in layer.linears() for linear in linears.replaced]

    def forward(self, hidden: Tensor, mask: Tensor, kept: TapRecorder) -> Tensor:
        """The last hidden state of the first token of each sentence."""
        if self.training or kept or not hidden.numel():
            return super().forward(hidden, mask, kept)
        buffers = self._take_buffers(*hidden.shape[:2])
        mask, x = mask.contiguous(), Values(self._kernels, hidden.contiguous())
        for layer in self._layers[:-1]:
            x = layer(x, mask, buffers)
        last = self._layers[-1].first_token(x, mask, buffers)
        self._free.append(buffers)
        return last

    def _take_buffers(self, batch: int, tokens: int) -> _Buffers:
        try:
            buffers = self._free.pop()
        except IndexError:
            buffers = None
        if buffers is None or buffers.shape != (batch, tokens):
            buffers = _Buffers.of(self._sizes, batch, tokens)
        return buffers


@frozen(eq=False)
class _Buffers:
    """Memory that a call works in."""

    shape: tuple[int, int]  #: sentences and tokens
    projections: list[Tensor]  #: (B, T, A * D), of query, key and value
    attention: AttentionBuffers
    attended: Tensor  #: (B, T, H)
    units: Tensor  #: (B, T, F)
    state: Tensor  #: (B, T, H)

    @classmethod
    def of(cls, sizes: Architecture, batch: int, tokens: int) -> Self:
        width = sizes.heads * sizes.head_size
        return cls(
            (batch, tokens),
            [torch.empty(batch, tokens, width) for _ in range(3)],
            AttentionBuffers.of(batch, tokens, sizes.heads, sizes.head_size),
            torch.empty(batch, tokens, sizes.hidden),
            torch.empty(batch, tokens, sizes.ffn),
            torch.empty(batch, tokens, sizes.hidden),
        )


@frozen(eq=False)
class _Norm:
    """A LayerNorm whose parameters are of float64."""

    numbers: NormAddresses
    parameters: Tensor  #: (2, H), gamma and beta, to which the numbers point

    @classmethod
    def of(cls, norm: nn.LayerNorm) -> Self:
        parameters = torch.stack([norm.weight.detach(), norm.bias.detach()]).double()
        return cls(NormAddresses(parameters.data_ptr(), bits_of(norm.eps)), parameters)


@frozen(eq=False)
class _LevelLayer:
    """A layer, by what its linear maps read."""

    module: Layer
    projections: LevelLinears  #: query, key and value
    attention: LevelAttention | None  #: None: the module computes it
    output: LevelLinears
    attention_norm: _Norm
    up: LevelLinears
    down: LevelLinears
    output_norm: _Norm
    activation: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, layer: Layer, packed: Mapping[nn.Module, PackedLinear]) -> Self:
        """A layer of a prepared model."""
        attention, output = cast("ExactAttention", layer.attention.self), layer.attention.output
        query_key_value = [attention.query, attention.key, attention.value]
        return cls(
            module=layer,
            projections=LevelLinears(query_key_value, packed),
            attention=LevelAttention.of(attention),
            output=LevelLinears([output.dense], packed),
            attention_norm=_Norm.of(output.LayerNorm),
            up=LevelLinears([layer.intermediate.dense], packed),
            down=LevelLinears([layer.output.dense], packed),
            output_norm=_Norm.of(layer.output.LayerNorm),
            activation=layer.intermediate.activation,
        )

    def linears(self) -> list[LevelLinears]:
        """All linear maps."""
        return [self.projections, self.output, self.up, self.down]

    def __call__(self, x: Values, mask: Tensor, buffers: _Buffers) -> Values:
        """The next hidden states."""
        attended = self._attended(x, mask, buffers)
        # x is read no more, so its memory may be written
        return _normalized(
            self.down(self._units(attended, buffers))[0], attended, self.output_norm, buffers.state, None
        )

    def first_token(self, x: Values, mask: Tensor, buffers: _Buffers) -> Tensor:
        """The next hidden state of the first token of each sentence, (B, 1, H)."""
        if not self.module.output.dense.quantizes_input:
            return self.module.first_token(x.tensor, mask, {})
        attended = self._attended(x, mask, buffers)
        (outputs,) = self.down(self._units(attended, buffers), first_token=True)
        out = torch.empty(len(x.tensor), 1, x.tensor.shape[-1])
        return _normalized(outputs, attended, self.output_norm, out, None).tensor

    def _attended(self, x: Values, mask: Tensor, buffers: _Buffers) -> Values:
        projections = [
            _finished(x.kernels, outputs, buffer, None)
            for outputs, buffer in zip(self.projections(x), buffers.projections, strict=True)
        ]
        context = None
        if self.attention is not None:
            context = self.attention(projections, mask, buffers.attention, self.output.shift)
        if context is None:
            attention = cast("ExactAttention", self.module.attention.self)
            query, key, value = (values.tensor for values in projections)
            attended = attention.attend(query, key, value, mask, {})
            context = Values(x.kernels, attended.contiguous())
        (outputs,) = self.output(context)
        return _normalized(outputs, x, self.attention_norm, buffers.attended, self.up.shift)

    def _units(self, x: Values, buffers: _Buffers) -> Values:
        (outputs,) = self.up(x)
        is_relu = self.activation is F.relu
        units = _finished(x.kernels, outputs, buffers.units, self.down.shift, relu=is_relu)
        if is_relu:
            return units
        if self.activation is F.gelu:
            torch.ops.aten.gelu_(units.tensor)  # in place: it stays in the cache
            return Values(x.kernels, units.tensor)
        return Values(x.kernels, self.activation(units.tensor))


def _is_exact(layer: Layer) -> bool:
    norms = layer.attention.output.LayerNorm, layer.output.LayerNorm
    return isinstance(layer.attention.self, ExactAttention) and all(isinstance(norm, ExactLayerNorm) for norm in norms)


def _finished(
    kernels: RowKernels, outputs: LinearOutputs, buffer: Tensor, shift: Tensor | None, *, relu: bool = False
) -> Values:
    """The result of a linear map (B, T, O)."""
    out = buffer if outputs.memory is None else outputs.memory.view(buffer.shape)
    rows, columns = out.shape[:-1].numel(), out.shape[-1]
    shifts = shift_address(kernels, shift)
    extremes = kernels.finish_products(outputs.branches, out.data_ptr(), rows, columns, shifts, relu=relu)
    return Values(kernels, out, shift, extremes)


def _normalized(outputs: LinearOutputs, residual: Values, norm: _Norm, buffer: Tensor, shift: Tensor | None) -> Values:
    """LayerNorm of the sum of a linear map and the residual, as many tokens of each sentence as the map computed."""
    kernels, out = residual.kernels, buffer if outputs.memory is None else outputs.memory.view(buffer.shape)
    tokens, columns = residual.tensor.shape[1:]
    extremes = kernels.finish_norm(
        outputs.branches,
        residual.tensor.data_ptr(),
        columns * FLOAT_BYTES * (tokens // out.shape[1]),
        norm.numbers,
        out.data_ptr(),
        out.shape[:-1].numel(),
        columns,
        shift_address(kernels, shift),
    )
    return Values(kernels, out, shift, extremes)
