"""The tensors of a packed model: which there are, from a model and as a file must have them, and what they count as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import field, frozen
from torch import Tensor, nn

from bebertlab.accounting.size import branch_sites, tensor_part
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Site
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.model.bert import BertClassifier
from bebertlab.model.parameter_names import WEIGHT_QUANTIZER, parse_quantized_name
from bebertlab.packed.container import Array
from bebertlab.packed.contract import OFFSET, PLANES, SHARED, STEP, WeightCodes, member_prefix
from bebertlab.packed.weight import PackedWeight, codes_problem, encode_weight

POSITIONS = "bert.embeddings.position_embeddings.weight"
_NOT_QUANTIZED = "its site has no quantizer"


@frozen(kw_only=True, eq=False)
class StoredTensors:
    """What is stored of a model, or of a whole ensemble with prefixes, by the names in the file."""

    arrays: Mapping[str, Array]
    codes: Mapping[str, WeightCodes] = field(factory=dict)  #: of the arrays that are planes
    full_precision: Mapping[str, str] = field(factory=dict)  #: matrices that are not packed, and why


def is_of_weight_quantizer(name: str) -> bool:
    """Whether a tensor is the state of a quantizer of weights, which is not stored.

    >>> is_of_weight_quantizer("bert.pooler.dense.branches.0.weight_quantizer.step")
    True
    """
    parsed = parse_quantized_name(name)
    return parsed is not None and parsed.quantizer == WEIGHT_QUANTIZER


def model_tensors(model: BertClassifier, positions: int) -> StoredTensors:
    """What is stored of a model in evaluation mode, whose inputs have at most `positions` tokens.

    Raises:
        UserError: a tensor has values that are not finite.
    """
    arrays: dict[str, Array] = {}
    codes: dict[str, WeightCodes] = {}
    full_precision: dict[str, str] = {}
    matrices = branch_sites(model.architecture, model.spec)
    for prefix in matrices:
        matrix = _matrix(model.get_submodule(prefix.removesuffix(".")))
        arrays |= {f"{prefix}{name}": array for name, array in matrix.arrays.items()}
        codes |= {f"{prefix}{name}": value for name, value in matrix.codes.items()}
        full_precision |= {f"{prefix}{name}": reason for name, reason in matrix.full_precision.items()}
    for name, tensor in model.state_dict().items():
        if not is_of_weight_quantizer(name) and name.removesuffix(PLANES) not in matrices:
            arrays[name] = _array(tensor[:positions] if name == POSITIONS else tensor)
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise UserError(f"{name} has values that are not finite (NaN or infinite), so the model cannot be packed")
    return StoredTensors(arrays=arrays, codes=codes, full_precision=full_precision)


def shared_tensors(members: Sequence[StoredTensors]) -> StoredTensors:
    """What is stored of an ensemble: each tensor that is equal in all members once; a single model keeps its names.

    The planes of a matrix and their scales are shared together or not at all.
    """
    first, *others = members
    if not others:
        return first
    shared = {name for name, array in first.arrays.items() if all(_has_equal(first, m, name, array) for m in others)}
    for name in first.codes:
        together = {name, *(name.removesuffix(PLANES) + scale for scale in (STEP, OFFSET))}
        if not together & first.arrays.keys() <= shared or any(together & m.arrays.keys() - shared for m in others):
            shared -= together
    arrays: dict[str, Array] = {}
    codes: dict[str, WeightCodes] = {}
    full_precision: dict[str, str] = {}
    for index, member in enumerate(members):
        names = {name: (SHARED if name in shared else member_prefix(index)) + name for name in member.arrays}
        arrays |= {names[name]: array for name, array in member.arrays.items()}
        codes |= {names[name]: value for name, value in member.codes.items()}
        full_precision |= {names[name]: reason for name, reason in member.full_precision.items()}
    return StoredTensors(arrays=arrays, codes=codes, full_precision=full_precision)


def stored_parts(stored: StoredTensors, sites: Sequence[Mapping[str, Site]]) -> dict[str, int]:
    """Bytes of stored tensors by part, named as in `ModelSize`; `sites` of each member as from `branch_sites`."""
    parts = dict.fromkeys(
        ("word_embedding", "encoder", "pooler", "scales", "steps", "biases", "positions", "classifier"), 0
    )
    for name, array in stored.arrays.items():
        prefix, member = _owner(name) if len(sites) > 1 else ("", 0)
        parts[_part(name.removeprefix(prefix), sites[member])] += array.nbytes
    return parts


def _part(name: str, sites: Mapping[str, Site]) -> str:
    prefix, _, last = name.rpartition(".")
    site = sites.get(f"{prefix}.")
    if site is not None and last == PLANES:
        return site.value if site in (Site.WORD_EMBEDDING, Site.POOLER) else "encoder"
    if site is not None and last in (STEP, OFFSET):
        return "scales"
    part = tensor_part(name)
    if part is None:
        raise AssertionError("the state of quantizers of weights is not stored")
    return part


def _owner(name: str) -> tuple[str, int]:
    """The prefix of a tensor of an ensemble, and a member that has it."""
    if name.startswith(SHARED):
        return SHARED, 0
    index = int(name.split(".", 2)[1])
    return member_prefix(index), index


def _matrix(branch: nn.Module) -> StoredTensors:
    """What is stored of a matrix, by names in its branch."""
    weight, quantizer = branch.get_parameter(PLANES), getattr(branch, WEIGHT_QUANTIZER, None)
    if not isinstance(quantizer, Quantizer):
        return StoredTensors(arrays={PLANES: _array(weight)}, full_precision={PLANES: _NOT_QUANTIZED})
    codes, values = encode_weight(weight, quantizer)
    if problem := codes_problem(codes, values):
        return StoredTensors(arrays={PLANES: _array(values)}, full_precision={PLANES: problem})
    packed = PackedWeight.of(codes)
    arrays: dict[str, Array] = {PLANES: packed.planes, STEP: packed.step}
    if packed.offset is not None:
        arrays[OFFSET] = packed.offset
    return StoredTensors(arrays=arrays, codes={PLANES: WeightCodes.of(packed.alphabet, packed.columns)})


def _array(tensor: Tensor) -> Array:
    array: Array = tensor.detach().cpu().contiguous().numpy()
    return array


def _has_equal(first: StoredTensors, other: StoredTensors, name: str, array: Array) -> bool:
    # by bytes: -0.0 equals 0.0, and is another bit
    theirs = other.arrays.get(name)
    same_kind = theirs is not None and theirs.dtype == array.dtype and theirs.shape == array.shape
    same_codes = first.codes.get(name) == other.codes.get(name)
    return theirs is not None and same_kind and same_codes and theirs.tobytes() == array.tobytes()
