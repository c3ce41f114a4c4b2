"""A packed model computes: by the modules of the inference twin, from the levels of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor, nn

from bebertlab.inference.modules import fixed_linear
from bebertlab.inference.prepare import InferenceModel, prepare, quantizes_activations
from bebertlab.interfaces.architecture import Architecture, Site
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.ensemble import Floats, Merger
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.linear import LinearBranch
from bebertlab.model.parameter_names import branch_prefix
from bebertlab.model.spec import branch_counts, quantizable_modules
from bebertlab.packed.contract import PLANES
from bebertlab.packed.modules import FloatMatrix, LinearPart, Matrix, PackedEmbedding, PackedLinear, PackedMatrix
from bebertlab.packed.read import PackedFile, PackedMember

#: when the matrices of linear maps are unpacked: once, which is faster, or for each product, which takes less memory.
#: Word embeddings are always unpacked by row.
Unpacking = Literal["once", "each"]
UNPACKING: tuple[Unpacking, ...] = ("once", "each")


@frozen(kw_only=True, eq=False)
class PackedModel:
    """A packed model or ensemble, which answers without gradients; several threads may use it at once.

    What it computes is what `prepare` computes of the model that was packed, and what `merge` computes of its members.
    """

    members: tuple[InferenceModel, ...]
    weights: Floats = field(eq=False)  #: (M,), of the members
    merger: Merger | None  #: None: a single model
    probabilities: bool  #: `logits` gives shares of classes that add up to 1, as some ensembles do

    @classmethod
    def of(cls, file: PackedFile, *, unpacking: Unpacking = "once", device: str = "cpu") -> Self:
        """The model of a file, on a device.

        Raises:
            UserError: a quantizer or the rule cannot be built.
        """
        classes = file.members[0].architecture.classes
        return cls(
            members=tuple(_inference_model(member, unpacking, device) for member in file.members),
            weights=np.array([member.weight for member in file.members]),
            merger=None if file.rule is None else file.rule.build(classes),
            probabilities=file.rule is not None and file.rule.probabilities,
        )

    @property
    def architecture(self) -> Architecture:
        """The sizes of the first member; all have the same positions and classes."""
        return self.members[0].architecture

    def logits(self, batch: Batch) -> Tensor:
        """The logits (B, C) of a model in float32; the scores of an ensemble in float64, as its rule gives them."""
        return self.merge(self.member_logits(batch))

    def member_logits(self, batch: Batch) -> Tensor:
        """The logits of every member, (M, B, C), on the device of the batch."""
        return torch.stack([member(batch).logits for member in self.members])

    def merge(self, logits: Tensor) -> Tensor:
        """The scores (N, C) of logits (M, N, C), in main memory for an ensemble."""
        if self.merger is None:
            return logits[0]
        scores = self.merger.merge(logits.cpu().numpy().astype(np.float64), self.weights)
        return torch.from_numpy(scores)


def _inference_model(member: PackedMember, unpacking: Unpacking, device: str) -> InferenceModel:
    model = meta_model(member.architecture, member.spec)
    tensors = {name: torch.from_numpy(array).to(device) for name, array in member.tensors.items()}
    model.load_state_dict(tensors, assign=True, strict=False)
    exact = quantizes_activations(member.spec)
    counts = branch_counts(member.architecture, member.spec)
    for path, site in quantizable_modules(member.architecture).items():
        if not counts[path]:
            continue
        prefixes = [branch_prefix(path, branch, counts[path]) for branch in range(counts[path])]
        matrices = [_matrix(member, prefix, tensors).to(device) for prefix in prefixes]
        if site is Site.WORD_EMBEDDING:
            module: nn.Module = PackedEmbedding(matrices)
        else:
            module = _linear(model, dict(zip(prefixes, matrices, strict=True)), exact, unpacking)
        model.set_submodule(path, module)
    return prepare(model)


def _matrix(member: PackedMember, prefix: str, tensors: Mapping[str, Tensor]) -> Matrix:
    packed = member.matrices.get(prefix)
    return FloatMatrix(tensors[f"{prefix}{PLANES}"]) if packed is None else PackedMatrix(packed)


def _linear(model: BertClassifier, matrices: Mapping[str, Matrix], exact: bool, unpacking: Unpacking) -> nn.Module:
    parts = []
    for prefix, matrix in matrices.items():
        branch = model.get_submodule(prefix.removesuffix("."))
        if not isinstance(branch, LinearBranch):
            raise AssertionError("a quantized linear map has branches")
        parts.append(LinearPart(matrix=matrix, bias=branch.bias.detach(), quantizer=branch.input_quantizer))
    if unpacking == "each":
        return PackedLinear(parts, exact=exact)
    return fixed_linear([part.unpack(exact=exact) for part in parts])
