"""The importer of full-precision classifiers as Hugging Face writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen
from torch import Tensor

from bebertlab.api import Checkpoint, ImporterOptions, full_precision_checkpoint


@frozen(kw_only=True)
class HuggingFaceImporter(ImporterOptions):
    """A full-precision BertForSequenceClassification of any age.

    The weights of LayerNorms may be called gamma and beta, as in the first versions. Heads of pre-training and position
    ids are ignored.
    """

    kind = "huggingface"

    def read(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
        """The model in single precision, with current names."""
        return full_precision_checkpoint(tensors, config)
