"""The importer of full-precision classifiers as Hugging Face writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Checkpoint, Design
from bebertlab.interfaces.importer import ImporterOptions
from bebertlab.nn.huggingface import architecture_of, modern_names
from bebertlab.nn.size import skeleton
from bebertlab.nn.tensors import check_tensors

_CLASSIFIER = "classifier.weight"


@frozen(kw_only=True)
class HuggingFaceImporter(ImporterOptions):
    """A full-precision BertForSequenceClassification of any age.

    LayerNorms may be called gamma and beta, as in the first versions. Heads of pre-training and position numbers are
    left out.
    """

    kind = "huggingface"

    def read(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
        """The model under today's names, in single precision."""
        named = modern_names(tensors)
        if _CLASSIFIER not in named:
            raise UserError(
                f"there is no {_CLASSIFIER}: this is no classifier;"
                " the encoder 'pretrained' starts from a BERT without one"
            )
        architecture = architecture_of(config, named[_CLASSIFIER].shape[0])
        check_tensors(named, skeleton(architecture, Design()).state_dict())
        made = {name: tensor.to(torch.float32) for name, tensor in named.items()}
        return Checkpoint(architecture=architecture, design=Design(), tensors=made)
