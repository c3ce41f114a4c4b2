"""BiBERT's quantizers: binary weights, binary activations, and the selection of attended keys."""

from __future__ import annotations

from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from bebertlab.api import (
    SIGNS,
    TERNARY,
    ZERO_ONE,
    Codes,
    Quantizer,
    QuantizerOptions,
    Threshold,
    clipped_ste,
    mask_gradient,
    sign,
)


@frozen(kw_only=True)
class Bibert(QuantizerOptions):
    """Binary weights: the sign of each row minus its mean, times its mean magnitude; one bit each."""

    kind = "bibert"
    applies_to = "weights"
    as_published: bool = False  #: weights at the mean are a third level, 0, as in the published code; two bits

    def build(self, shape: torch.Size) -> BibertQuantizer:
        """A stateless quantizer."""
        return BibertQuantizer(self)


class BibertQuantizer(Quantizer):
    """Binary weights: the signs of each centred row, scaled by the mean magnitude of the row before centring.

    m = mean of the row,  s = mean |w| of the row,  q = s * sign(w - m).
    Shape: (O, I) -> (O, I), or any other; a row is the last dimension.
    Gradient: G - mean of G over the row, G = gradient where |w - m| <= 1, else 0; s is a constant.
    Source: BiBERT, arXiv:2203.06390, section 2.2, and its published code (linear layers and word embedding).
    Differs: a weight at the mean counts as +1, so one bit is enough; `as_published` maps it to 0. The published code
    adds and subtracts clamp(w - m, -1, 1), which rounds the result; here it is exact.

    >>> BibertQuantizer(Bibert())(torch.tensor([[1.0, 2.0, 6.0], [0.0, 0.0, 0.0]]))
    tensor([[-3., -3.,  3.],
            [ 0.,  0.,  0.]])
    """

    row_wise = True

    def __init__(self, options: Bibert) -> None:
        super().__init__()
        self.alphabet = TERNARY if options.as_published else SIGNS
        self.as_published = options.as_published

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at plus or minus the scale of its row."""
        y: Tensor = _Binarize.apply(x, self.as_published)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        x = x.detach()
        mean, step = x.mean(-1, keepdim=True), x.abs().mean(-1, keepdim=True)
        levels = sign(x - mean, keep_zero=self.as_published)
        return Codes(levels=levels.to(torch.int8), step=step, alphabet=self.alphabet)


class _Binarize(torch.autograd.Function):
    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(ctx: Any, x: Tensor, as_published: bool) -> Tensor:  # noqa: ANN401 - torch's own type
        mean = x.mean(-1, keepdim=True)
        y = x.abs()
        step = y.mean(-1, keepdim=True)
        ctx.inside = ctx.needs_input_grad[0] and _inside(x, mean)
        ctx.save_for_backward(x, mean)
        if as_published:
            return torch.sub(x, mean, out=y).sign_().mul_(step)
        # half as many passes as with a sign: 1 at or above the mean, else 0, then exactly +step and -step
        return torch.ge(x, mean, out=y).mul_(2 * step).sub_(step)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's own type
        if ctx.inside:
            return gradient - gradient.mean(-1, keepdim=True), None
        x, mean = ctx.saved_tensors
        # in place: no third tensor of the weight's size
        passed = x - mean
        passed = mask_gradient(gradient, passed, -1.0, 1.0, out=passed)
        return passed.sub_(passed.mean(-1, keepdim=True)), None


def _inside(x: Tensor, mean: Tensor) -> bool:
    """Whether all weights are within 1 of their mean; False if computing it would synchronize or break the graph."""
    if not x.is_cpu or torch.compiler.is_compiling() or not x.numel():
        return False
    (low, high), (lowest, highest) = ([end.item() for end in torch.aminmax(some)] for some in (x, mean))
    return bool(high - lowest <= 1 and low - highest >= -1)


@frozen(kw_only=True)
class Sign(QuantizerOptions):
    """Binary activations: -1 and +1, one bit each."""

    kind = "sign"
    strict: bool = (
        False  #: no gradient at |x| = 1 (BiBERT's Q, K, V); false: none at |x| > 1 only (inputs of linear layers)
    )
    scaled: bool = False  #: times the mean |x| of the whole tensor, padding included (BEBERT's copy of BiBERT)
    as_published: bool = False  #: zeros are a third level, 0, as in the published code; two bits

    def build(self, shape: torch.Size) -> SignQuantizer:
        """A stateless quantizer."""
        return SignQuantizer(self)


class SignQuantizer(Quantizer):
    """Binary activations: the sign, or the sign times the mean magnitude of the tensor.

    q = sign(x);  scaled: q = s * sign(x), s = mean |x|.
    Shape: any -> the same.
    Gradient: 1 where |x| <= 1 (strict: < 1), else 0; s is a constant and does not scale the gradient.
    Source: BiBERT, arXiv:2203.06390, section 2.2, and its published code; scaled: the BEBERT code.
    Differs: zero counts as +1, so one bit is enough; `as_published` maps it to 0: zeros of dropout and the contexts of
    queries that select nothing stay zeros.

    >>> SignQuantizer(Sign())(torch.tensor([-3.0, 0.0, 0.5]))
    tensor([-1.,  1.,  1.])
    >>> SignQuantizer(Sign(scaled=True))(torch.tensor([-3.0, 1.0]))
    tensor([-2.,  2.])
    """

    def __init__(self, options: Sign) -> None:
        super().__init__()
        self.alphabet = TERNARY if options.as_published else SIGNS
        self.strict, self.scaled, self.as_published = options.strict, options.scaled, options.as_published
        self.row_wise = not options.scaled

    def forward(self, x: Tensor) -> Tensor:
        """Every value at minus or plus the scale."""
        levels, step = self._quantized(x)
        return clipped_ste(levels if step is None else levels.mul_(step), x, -1.0, 1.0, strict=self.strict)

    def forward_unscaled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The signs, and their scale."""
        levels, step = self._quantized(x)
        source = x if step is None else _divide_gradient(x, step)
        return clipped_ste(levels, source, -1.0, 1.0, strict=self.strict), step

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        levels, step = self._quantized(x)
        return Codes(
            levels=levels.to(torch.int8), step=x.new_ones(()) if step is None else step, alphabet=self.alphabet
        )

    def binary_threshold(self) -> Threshold | None:
        """Zero; there is none where the scale is that of the tensor, or zero a level."""
        return None if self.scaled or self.as_published else Threshold(step=torch.ones(()))

    def _quantized(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        x = x.detach()  # the gradient is known: no graph is needed
        levels = sign(x, keep_zero=self.as_published)
        return levels, x.abs().mean() if self.scaled else None


def _divide_gradient(x: Tensor, scale: Tensor) -> Tensor:
    y: Tensor = _DivideGradient.apply(x, scale)  # type: ignore[no-untyped-call]
    return y


class _DivideGradient(torch.autograd.Function):
    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor) -> Tensor:  # noqa: ANN401 - torch's own type
        ctx.save_for_backward(scale)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's own type
        (scale,) = ctx.saved_tensors
        return gradient / scale.clamp(min=torch.finfo(scale.dtype).tiny), None


@frozen(kw_only=True)
class Bool(QuantizerOptions):
    """Selected or not: 1 for positive values, 0 for the others, one bit each; for attention without softmax."""

    kind = "bool"
    applies_to = "activations"
    as_in_paper: bool = False  #: 0 is selected, and the gradient passes at |x| = 1; false: neither (the code)

    def build(self, shape: torch.Size) -> BoolQuantizer:
        """A stateless quantizer."""
        return BoolQuantizer(self)


class BoolQuantizer(Quantizer):
    """1 where x > 0, else 0: the keys that a query attends to.

    Shape: any -> the same.
    Gradient: 1 where |x| < 1, else 0; so masked scores (about -10000) have none.
    Source: BiBERT, arXiv:2203.06390, section 3.2 (the function "bool" of Bi-Attention), as in its published code.
    Differs: the paper selects where x >= 0, with a gradient where |x| <= 1: `as_in_paper`, where scores that dropout
    sets to 0 are selected.

    >>> BoolQuantizer(Bool())(torch.tensor([-0.5, 0.0, 0.25]))
    tensor([0., 0., 1.])
    """

    alphabet = ZERO_ONE
    row_wise = True

    def __init__(self, options: Bool) -> None:
        super().__init__()
        self.as_in_paper = options.as_in_paper

    def forward(self, x: Tensor) -> Tensor:
        """0 or 1."""
        return clipped_ste(self._quantized(x), x, -1.0, 1.0, strict=not self.as_in_paper)

    def forward_unscaled(self, x: Tensor) -> tuple[Tensor, None]:
        """0 or 1, which have no scale."""
        return self(x), None

    def encode(self, x: Tensor) -> Codes:
        """Levels 0 and 1."""
        return Codes(levels=self._quantized(x).to(torch.int8), step=x.new_ones(()), alphabet=self.alphabet)

    def binary_threshold(self) -> Threshold:
        """Zero, which is selected only as in the paper."""
        return Threshold(step=torch.ones(()), inclusive=self.as_in_paper)

    def _quantized(self, x: Tensor) -> Tensor:
        # a comparison with a float output: a converted bool takes several times as long on a CPU
        y = torch.empty_like(x)
        return torch.ge(x.detach(), 0, out=y) if self.as_in_paper else torch.gt(x.detach(), 0, out=y)
