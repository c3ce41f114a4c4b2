"""One layer of the encoder."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bebertlab.nn.attention import Kept, SelfAttention
from bebertlab.nn.dropout import add_dropped
from bebertlab.nn.linear import wanted_tokens
from bebertlab.nn.parts import Parts


class Residual(nn.Module):
    """LayerNorm(x + dropout(dense(y))).

    Shape: y (B, T, I), x (B, T, H) -> (B, T, H), or (B, 1, H).
    """

    def __init__(self, parts: Parts, path: str, inputs: int) -> None:
        super().__init__()
        sizes = parts.architecture
        self.dropout = sizes.dropout
        self.dense = parts.linear(f"{path}.dense", inputs, sizes.hidden)
        self.LayerNorm = nn.LayerNorm(sizes.hidden, eps=sizes.norm_epsilon)

    def forward(self, y: Tensor, x: Tensor, first_only: bool = False) -> Tensor:
        """The normalized sum; `first_only`: of the first token of each sentence."""
        update: Tensor = self.dense(y, first_only)
        total = add_dropped(wanted_tokens(x, first_only), update, self.dropout, self.training)
        normalized: Tensor = self.LayerNorm(total)
        return normalized


class Attention(nn.Module):
    """Self-attention and its residual block.

    Shape: (B, T, H) -> (B, T, H), or (B, 1, H).
    """

    def __init__(self, parts: Parts, path: str) -> None:
        super().__init__()
        width = parts.architecture.heads * parts.architecture.head_size
        self.self = SelfAttention(parts, f"{path}.self")
        self.output = Residual(parts, f"{path}.output", width)

    def forward(self, hidden: Tensor, mask: Tensor, kept: Kept, first_only: bool = False) -> Tensor:
        """The attended hidden states; `first_only`: of the first token of each sentence."""
        attended: Tensor = self.output(self.self(hidden, mask, kept), hidden, first_only)
        return attended


class FeedForwardUp(nn.Module):
    """act(dense(x)); branches are summed before the activation.

    Shape: (B, T, H) -> (B, T, F), or (B, 1, F).
    """

    def __init__(self, parts: Parts, path: str) -> None:
        super().__init__()
        sizes = parts.architecture
        self.dense = parts.linear(f"{path}.dense", sizes.hidden, sizes.ffn)
        self.activation = F.relu if (parts.design.activation or sizes.activation) == "relu" else F.gelu

    def forward(self, x: Tensor, first_only: bool = False) -> Tensor:
        """The activated units; `first_only`: of the first token of each sentence."""
        return self.activation(self.dense(x, first_only))


class Layer(nn.Module):
    """Attention, then feed-forward, each with a residual and a LayerNorm after it.

    Shape: (B, T, H) -> (B, T, H), or (B, 1, H).
    """

    def __init__(self, parts: Parts, path: str) -> None:
        super().__init__()
        self.attention = Attention(parts, f"{path}.attention")
        self.intermediate = FeedForwardUp(parts, f"{path}.intermediate")
        self.output = Residual(parts, f"{path}.output", parts.architecture.ffn)

    def forward(self, hidden: Tensor, mask: Tensor, kept: Kept, first_only: bool = False) -> Tensor:
        """The next hidden states; `first_only`: of the first token of each sentence.

        The others are computed as far as they are read: by the attention of the first one, and by quantizers.
        """
        units_alone = first_only and not self.output.dense.quantizes_input
        attended_alone = units_alone and not self.intermediate.dense.quantizes_input
        attended = self.attention(hidden, mask, kept, attended_alone)
        output: Tensor = self.output(self.intermediate(attended, units_alone), attended, first_only)
        return output
