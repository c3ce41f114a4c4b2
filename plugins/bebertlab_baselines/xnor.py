"""XNOR-Net: signs times a scale for each row."""

from __future__ import annotations

from typing import Any

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import (
    GRANULARITIES,
    SIGNS,
    TERNARY,
    Codes,
    Granularity,
    Quantizer,
    QuantizerOptions,
    group_mean,
    group_size,
    mask_gradient,
    sign,
)


@frozen(kw_only=True)
class Xnor(QuantizerOptions):
    """Weights or activations: the sign times the mean magnitude of the row, one bit each."""

    kind = "xnor"
    granularity: Granularity = field(
        default="row", validator=validators.in_(GRANULARITIES)
    )  #: group that shares a scale: each row (a filter of the paper, a token), or the whole tensor
    product_rule: bool = False  #: the derivative of the scale by the product rule, not the paper's 1/n
    as_published: bool = False  #: zero is a third level, as in the published code

    def build(self, shape: torch.Size) -> XnorQuantizer:
        """A stateless quantizer."""
        return XnorQuantizer(self)


class XnorQuantizer(Quantizer):
    """Binary values: the sign times the mean magnitude of the row, or of the tensor.

    s = mean |x| over the n elements that share it,  q = s * sign(x).
    Shape: (O, I) -> (O, I), or any other; a row is the last dimension: of activations a token.
    Gradient, with g the upstream gradient: g (1/n + s where |x| <= 1);
    with `product_rule` sign(x) group_mean(g sign(x)) + g s where |x| <= 1, with the true derivative of the scale.
    Source: XNOR-Net, arXiv:1603.05279, section 3.1 (weights; the derivative of the sign is that of its equation for
    |x| <= 1) and section 3.2 (inputs; a token of a linear layer is a sub-tensor of the paper).
    Differs: zero counts as +1; with `as_published` it is a third level, 0. The published code also multiplies the
    gradient by a constant (without effect under AdamW), excludes |x| = 1, and centres and clips the latent weights
    after each step.

    >>> XnorQuantizer(Xnor())(torch.tensor([[-3.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
    tensor([[-1.,  1.,  1.,  1.],
            [ 0.,  0.,  0.,  0.]])
    """

    def __init__(self, options: Xnor) -> None:
        super().__init__()
        self.alphabet = TERNARY if options.as_published else SIGNS
        self.as_published = options.as_published
        self.granularity = options.granularity
        self.product_rule = options.product_rule
        self.row_wise = options.granularity == "row"

    def forward(self, x: Tensor) -> Tensor:
        """Every value at plus or minus the scale."""
        y: Tensor = _Quantize.apply(x, self.granularity, self.product_rule, self.as_published)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        x = x.detach()
        return Codes(
            levels=sign(x, keep_zero=self.as_published).to(torch.int8),
            step=group_mean(x.abs(), self.granularity),
            alphabet=self.alphabet,
        )


class _Quantize(torch.autograd.Function):
    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(ctx: Any, x: Tensor, granularity: Granularity, product_rule: bool, published: bool) -> Tensor:  # noqa: ANN401
        scale = group_mean(x.abs(), granularity)
        ctx.save_for_backward(x, scale)
        ctx.granularity, ctx.product_rule, ctx.published = granularity, product_rule, published
        return sign(x, keep_zero=published).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401 - torch's own type
        x, scale = ctx.saved_tensors
        passed = mask_gradient(gradient, x, -1.0, 1.0).mul_(scale)
        if ctx.product_rule:
            signed = sign(x, keep_zero=ctx.published)
            return passed.addcmul_(signed, group_mean(gradient * signed, ctx.granularity)), None, None, None
        return passed.add_(gradient, alpha=1 / group_size(x, ctx.granularity)), None, None, None
