"""Self-attention, with softmax or without."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import ATTENTION_SITES, Site
from bebertlab.interfaces.batch import Tap
from bebertlab.interfaces.capabilities import SupportsUnscaled
from bebertlab.model.dropout import dropout
from bebertlab.model.module_factory import ModuleFactory

#: added to the score of a masked key, as in the published code; losses recognize masked entries by it
MASKED = -10_000.0

TapRecorder = Mapping[Tap, list[Tensor]]
_FROM_SCORES = frozenset({Tap.SCORES, Tap.PROBABILITIES})


def additive_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, T) bool, True on real tokens, to (B, 1, 1, T): 0 there and MASKED elsewhere.

    >>> additive_mask(torch.tensor([[True, False]]), torch.float32)
    tensor([[[[    -0., -10000.]]]])
    """
    return mask.logical_not().to(dtype).mul_(MASKED)[:, None, None, :]


class SelfAttention(nn.Module):
    """Scaled dot-product attention over A heads of size D; A * D need not be the hidden size.

    S = q(Q) q(K)^T / sqrt(D) + mask,  context = q(dropout(softmax(S))) q(V),  q the quantizers of the attention sites;
    without softmax context = q(dropout(S)) q(V): the quantizer selects keys, masked ones stay masked under dropout,
    and a query that selects none has a context of zeros.
    Shape: (B, T, H) -> (B, T, A * D).
    Gradient: that of the quantizers.
    Source: BERT, arXiv:1810.04805; places of the quantizers: TernaryBERT, arXiv:2009.12812, section 3.1; without
    softmax: BiBERT, arXiv:2203.06390, section 3.2 (Bi-Attention).
    Differs: sums of products of -1 and +1 are exact, so a score of 0 is exactly 0; in the published code with scales
    (BEBERT's copy of BiBERT), or a head size that is no square, rounding can make it positive.
    """

    fuses = True  #: where nothing in between is read or quantized, one kernel of torch computes the whole

    def __init__(self, factory: ModuleFactory, path: str) -> None:
        super().__init__()
        sizes = factory.architecture
        self.heads, self.head_size = sizes.heads, sizes.head_size
        self.dropout = sizes.attention_dropout
        self.softmax = factory.spec.softmax
        width = sizes.heads * sizes.head_size
        self.query = factory.linear(f"{path}.query", sizes.hidden, width)
        self.key = factory.linear(f"{path}.key", sizes.hidden, width)
        self.value = factory.linear(f"{path}.value", sizes.hidden, width)
        self.quantizers = nn.ModuleDict(
            {
                site.value: factory.attention_quantizer(site)
                for site in ATTENTION_SITES
                if site in factory.spec.attention
            }
        )
        self._unscaled = frozenset(
            site for site, quantizer in self.quantizers.items() if isinstance(quantizer, SupportsUnscaled)
        )

    def forward(self, hidden: Tensor, mask: Tensor, kept: TapRecorder) -> Tensor:
        """The context of every token; `mask` as from `additive_mask`; the taps that `kept` has lists for are added."""
        return self.attend(self.query(hidden), self.key(hidden), self.value(hidden), mask, kept)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, kept: TapRecorder) -> Tensor:
        """The context of given projections, each (B, T, A * D)."""
        q, k, v = self.by_head(query), self.by_head(key), self.by_head(value)
        if kept:
            self._keep_similarities(q, k, v, kept)
        rate = self.dropout if self.training else 0.0
        # with dropout the fused kernel of the CPU makes more passes than ours
        from_scores = any(tap in kept for tap in _FROM_SCORES)
        fused = self.fuses and not self.quantizers and not from_scores and (rate == 0.0 or q.is_cuda)
        if fused:
            context = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(q.dtype), dropout_p=rate)
        else:
            context = self._context(q, k, v, mask, rate, kept)
        return context.transpose(1, 2).flatten(2)

    def _keep_similarities(self, q: Tensor, k: Tensor, v: Tensor, kept: TapRecorder) -> None:
        for tap, x in ((Tap.QUERY_SIMILARITY, q), (Tap.KEY_SIMILARITY, k), (Tap.VALUE_SIMILARITY, v)):
            if tap in kept:
                kept[tap].append(x @ x.transpose(2, 3) / math.sqrt(self.head_size))

    def by_head(self, x: Tensor) -> Tensor:
        """A projection (B, T, A * D) as (B, A, T, D)."""
        return x.view(*x.shape[:2], self.heads, self.head_size).transpose(1, 2)

    def _context(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, rate: float, kept: TapRecorder) -> Tensor:
        if not self.softmax:
            return self._selected(q, k, v, mask, rate, kept)
        scores = self._quantized_scores(q, k, mask)
        if Tap.SCORES in kept:
            kept[Tap.SCORES].append(scores)
        # in float32 also of bfloat16 scores, whose own softmax takes several times as long on a CPU
        probabilities = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))
        if Tap.PROBABILITIES in kept:
            kept[Tap.PROBABILITIES].append(probabilities)
        probabilities = dropout(probabilities, rate, self.training)
        return self._weighted_values(probabilities, v)

    def _quantized_scores(self, q: Tensor, k: Tensor, mask: Tensor) -> Tensor:
        return self._scores(self._quantize(Site.ATTENTION_QUERY, q), self._quantize(Site.ATTENTION_KEY, k), mask)

    def _weighted_values(self, probabilities: Tensor, v: Tensor) -> Tensor:
        return self._quantize(Site.ATTENTION_PROBABILITIES, probabilities) @ self._quantize(Site.ATTENTION_VALUE, v)

    def _selected(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, rate: float, kept: TapRecorder) -> Tensor:
        """The context without softmax."""
        if Tap.PROBABILITIES in kept:
            raise UserError("the model has attention without softmax, so a loss cannot read its probabilities")
        q, q_scale = self._forward_unscaled(Site.ATTENTION_QUERY, q)
        k, k_scale = self._forward_unscaled(Site.ATTENTION_KEY, k)
        v, v_scale = self._forward_unscaled(Site.ATTENTION_VALUE, v)
        scores = self._exact_scores(q, k, mask, [scale for scale in (q_scale, k_scale) if scale is not None])
        if Tap.SCORES in kept:
            kept[Tap.SCORES].append(scores)
        if rate:
            # dropout sets scores to 0, which some quantizers select: mask the masked keys again
            scores = dropout(scores, rate, self.training).add_(mask)
        context = self._multiply(self._quantize(Site.ATTENTION_PROBABILITIES, scores), v)
        return context if v_scale is None else context * v_scale

    def _exact_scores(self, q: Tensor, k: Tensor, mask: Tensor, scales: list[Tensor]) -> Tensor:
        """Scores whose sums of integers are exact: scaled by a power of 2, or after the sum."""
        root = math.sqrt(self.head_size)
        if not scales and math.frexp(root)[0] == 0.5:
            return self._scores(q, k, mask)
        sums, mask = self._multiply(q, k.transpose(2, 3)), mask.to(q.dtype)
        if scales:
            return torch.addcmul(mask, sums, torch.stack(scales).prod() / root)
        return torch.add(mask, sums, alpha=1 / root)

    def _scores(self, q: Tensor, k: Tensor, mask: Tensor) -> Tensor:
        batch, heads, tokens, _ = q.shape
        rows = mask.to(q.dtype).expand(-1, heads, -1, -1).reshape(-1, 1, tokens)
        # scale and mask are fused with the product: two passes over (B, A, T, T) less, forward and backward
        scores = torch.baddbmm(
            rows, q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=1 / math.sqrt(self.head_size)
        )
        return scores.view(batch, heads, tokens, tokens)

    def _multiply(self, left: Tensor, right: Tensor) -> Tensor:
        return left @ right

    def _quantize(self, site: Site, x: Tensor) -> Tensor:
        if site in self.quantizers:
            x = self.quantizers[site](x)
        return x

    def _forward_unscaled(self, site: Site, x: Tensor) -> tuple[Tensor, Tensor | None]:
        if site in self._unscaled:
            return cast("SupportsUnscaled", self.quantizers[site]).forward_unscaled(x)
        return self._quantize(site, x), None
