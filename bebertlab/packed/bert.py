"""A BERT of signs without padding: embeddings and layers are computed for the tokens of the sentences only."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from bebertlab.interfaces.batch import Batch
from bebertlab.model.attention import TapRecorder
from bebertlab.model.bert import BertModel
from bebertlab.packed.encoder import PackedEncoder


class PackedBert(BertModel):
    """The same modules, with an encoder of generated code.

    Shape: tokens (B, T) -> (B, H).
    """

    encoder: PackedEncoder

    @classmethod
    def of(cls, bert: BertModel, encoder: PackedEncoder) -> Self:
        """A BERT with the same embeddings and pooler, of a prepared model in main memory."""
        packed = object.__new__(cls)
        vars(packed).update(vars(bert))
        packed._modules = {**bert._modules, "encoder": encoder}
        return packed

    def forward(self, batch: Batch, kept: TapRecorder) -> Tensor:
        """The pooled vectors."""
        if self.training or kept or not self.encoder.computes(batch.mask):
            return super().forward(batch, kept)
        first = self.encoder.first_tokens(self._embed(batch), batch.mask)
        pooled: Tensor = self.pooler(first)
        return pooled

    def _embed(self, batch: Batch) -> Tensor:
        """The embeddings of the tokens that are no padding, (N, H), to the bits of `Embeddings`."""
        embeddings, mask = self.embeddings, batch.mask
        places = torch.arange(mask.shape[1]).expand_as(mask)[mask]
        total = embeddings.word_embeddings(batch.tokens[mask]) + embeddings.token_type_embeddings(batch.segments[mask])
        normalized: Tensor = embeddings.LayerNorm(total + embeddings.position_embeddings(places))
        return normalized
