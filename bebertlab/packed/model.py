"""A packed model computes: by the modules of the inference twin, from the levels of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self, cast

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor, nn

from bebertlab.inference.prepare import InferenceModel, prepare, quantizes_activations
from bebertlab.interfaces.architecture import Architecture, Site
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.ensemble import Floats, Merger
from bebertlab.kernels.target import kernel_target, kernels_available
from bebertlab.model.bert import BertClassifier, BertModel, Encoder, meta_model
from bebertlab.model.linear import LinearBranch
from bebertlab.model.parameter_names import branch_prefix
from bebertlab.model.spec import branch_counts, quantizable_modules
from bebertlab.packed.bert import PackedBert
from bebertlab.packed.contract import PLANES
from bebertlab.packed.encoder import NotSigns, PackedEncoder
from bebertlab.packed.level_encoder import LevelEncoder, NotLevels
from bebertlab.packed.modules import FloatMatrix, LinearPart, Matrix, PackedEmbedding, PackedLinear, PackedMatrix
from bebertlab.packed.products import WITHOUT_KERNELS, Choice, choose_product
from bebertlab.packed.read import PackedFile, PackedMember

#: when the matrices of linear maps that are not computed from bit planes are unpacked: once, which is faster, or for
#: each product, which takes less memory. Word embeddings are always unpacked by row.
Unpacking = Literal["once", "each"]
UNPACKING: tuple[Unpacking, ...] = ("once", "each")

_BERT = "bert"
ENCODER = "bert.encoder"  #: the module of all layers
_WITHOUT_KERNELS = Choice("modules", WITHOUT_KERNELS)


@frozen(kw_only=True, eq=False)
class PackedModel:
    """A packed model or ensemble, which answers without gradients; several threads may use it at once.

    What it computes is what `prepare` computes of the model that was packed, and what `merge` computes of its members,
    whether by generated code or by torch.
    """

    members: tuple[InferenceModel, ...]
    weights: Floats = field(eq=False)  #: (M,), of the members
    merger: Merger | None  #: None: a single model
    probabilities: bool  #: `logits` gives shares of classes that add up to 1, as some ensembles do
    #: for each member how its encoder is computed and, where that is by its modules, each linear map, by module path
    choices: tuple[Mapping[str, Choice], ...]

    @classmethod
    def of(
        cls, file: PackedFile, *, unpacking: Unpacking = "once", device: str = "cpu", kernels: bool | None = None
    ) -> Self:
        """The model of a file, on a device.

        Args:
            file: as read.
            unpacking: when matrices are unpacked that torch multiplies.
            device: where it computes.
            kernels: whether generated code may be used, on the CPU; by default where llvmlite is installed.

        Raises:
            SetupError: generated code is asked for and cannot run here.
            UserError: a quantizer or the rule cannot be built.
        """
        if kernels:
            kernel_target()
        generate = (kernels_available() if kernels is None else kernels) and torch.device(device).type == "cpu"
        classes = file.members[0].architecture.classes
        built = [_build_member(member, unpacking, device, generate) for member in file.members]
        return cls(
            members=tuple(model for model, _ in built),
            weights=np.array([member.weight for member in file.members]),
            merger=None if file.rule is None else file.rule.build(classes),
            probabilities=file.rule is not None and file.rule.probabilities,
            choices=tuple(choices for _, choices in built),
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


def _build_member(
    member: PackedMember, unpacking: Unpacking, device: str, kernels: bool
) -> tuple[InferenceModel, dict[str, Choice]]:
    """A model, and how its linear maps are computed."""
    model, linears = _packed_twin(member, device)
    choices = {ENCODER: _choose_encoder(model, member.architecture) if kernels else _WITHOUT_KERNELS}
    if choices[ENCODER].product == "signs":
        linears = {path: linear for path, linear in linears.items() if not path.startswith(f"{ENCODER}.")}
        kernels = False  # for one row of each sentence, compiling and timing another kernel does not pay
    modules = {}
    for path, linear in linears.items():
        modules[path], choices[path] = choose_product(linear, unpack=unpacking == "once", kernels=kernels)
        model.network.set_submodule(path, modules[path])
    if kernels:
        choices[ENCODER] = _generate_rows(
            model, {modules[path]: linear for path, linear in linears.items()}, member.architecture, choices[ENCODER]
        )
    return model, choices


def _generate_rows(
    model: InferenceModel, packed: Mapping[nn.Module, PackedLinear], sizes: Architecture, choice: Choice
) -> Choice:
    """Put generated code between the products of the layers if it has something to do there."""
    encoder = cast("Encoder", model.network.get_submodule(ENCODER))
    try:
        levels = LevelEncoder.of(encoder, packed, sizes)
    except NotLevels as reason:
        return Choice("modules", f"{choice.reason}; {reason}")
    model.network.set_submodule(ENCODER, levels)
    paths = {module: path for path, module in model.network.named_modules()}
    for linear in levels.replaced():
        model.network.set_submodule(paths[linear], packed[linear])
    return Choice("rows", f"{choice.reason}; generated code computes what is between products of levels")


def _packed_twin(member: PackedMember, device: str) -> tuple[InferenceModel, dict[str, PackedLinear]]:
    """The inference twin with packed weights, and its quantized linear maps by path."""
    model = meta_model(member.architecture, member.spec)
    tensors = {name: torch.from_numpy(array).to(device) for name, array in member.tensors.items()}
    model.load_state_dict(tensors, assign=True, strict=False)
    exact = quantizes_activations(member.spec)
    counts = branch_counts(member.architecture, member.spec)
    linears = []
    for path, site in quantizable_modules(member.architecture).items():
        if not counts[path]:
            continue
        prefixes = [branch_prefix(path, branch, counts[path]) for branch in range(counts[path])]
        matrices = {prefix: _matrix(member, prefix, tensors).to(device) for prefix in prefixes}
        if site is Site.WORD_EMBEDDING:
            model.set_submodule(path, PackedEmbedding([*matrices.values()]))
        else:
            model.set_submodule(path, _packed_linear(model, matrices, exact))
            linears.append(path)
    twin = prepare(model)
    return twin, {path: cast("PackedLinear", twin.network.get_submodule(path)) for path in linears}


def _choose_encoder(model: InferenceModel, sizes: Architecture) -> Choice:
    """Put generated code in the place of the layers if it can compute them."""
    bert = cast("BertModel", model.network.get_submodule(_BERT))
    try:
        encoder = PackedEncoder.of(bert.encoder, sizes.heads, sizes.norm_epsilon)
    except NotSigns as reason:
        return Choice("modules", str(reason))
    model.network.set_submodule(_BERT, PackedBert.of(bert, encoder))
    return Choice("signs", "inputs, weights and products of attention are signs")


def _matrix(member: PackedMember, prefix: str, tensors: Mapping[str, Tensor]) -> Matrix:
    packed = member.matrices.get(prefix)
    return FloatMatrix(tensors[f"{prefix}{PLANES}"]) if packed is None else PackedMatrix(packed)


def _packed_linear(model: BertClassifier, matrices: Mapping[str, Matrix], exact: bool) -> PackedLinear:
    parts = []
    for prefix, matrix in matrices.items():
        branch = model.get_submodule(prefix.removesuffix("."))
        if not isinstance(branch, LinearBranch):
            raise AssertionError("a quantized linear map has branches")
        parts.append(LinearPart(matrix=matrix, bias=branch.bias.detach(), quantizer=branch.input_quantizer))
    return PackedLinear(parts, exact=exact)
