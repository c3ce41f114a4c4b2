"""Which tensors the file of a packed model must have, of which shapes, and which values they may have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from attrs import frozen

from bebertlab.accounting.size import branch_sites, weight_shape
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.interfaces.quantizer import Alphabet
from bebertlab.model.bert import MetaStates
from bebertlab.model.spec import check_spec
from bebertlab.packed.container import Array
from bebertlab.packed.contract import OFFSET, PLANES, STEP, MemberConfig, WeightCodes
from bebertlab.packed.messages import shown
from bebertlab.packed.planes import find_padding, find_unknown_index, packing_problem, plane_shape
from bebertlab.packed.tensors import is_of_weight_quantizer

_FLOAT, _PLANES = np.dtype("<f4"), np.dtype("u1")


@frozen(kw_only=True)
class Expected:
    """The type and shape of a tensor."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def check_stored(
    member: MemberConfig, arrays: Mapping[str, Array], codes: Mapping[str, WeightCodes], states: MetaStates
) -> None:
    """Check that the tensors of a model are those of its sizes and its specification, with values that may be.

    Names are the ordinary ones, without the prefixes of ensembles. No model is built before the file is known to have
    all its matrices, so that a small file never makes the reader build a large model. `states` is shared by the members
    of a file.

    Raises:
        UserError: a tensor is missing, unexpected, of another type or shape, or has values that may not be.
    """
    _check_counts(member.architecture, member.design, len(arrays))
    matrices = _expected_matrices(member, arrays, codes)
    _compare(matrices, {name: arrays[name] for name in matrices if name in arrays})
    _compare({**matrices, **_expected_others(member, matrices, states)}, arrays)
    for name, array in arrays.items():
        if problem := _value_problem(name, array, codes):
            raise UserError(f"{shown(name)} {problem}")


def _check_counts(architecture: Architecture, spec: QuantSpec, count: int) -> None:
    """Check that there are at least as many tensors as modules, before these are listed."""
    matrices = 6 * architecture.layers + 2 + sum(max(branches - 1, 0) for branches in spec.branches.values())
    if matrices > count:
        raise UserError(f"its sizes and branches need {matrices} matrices, and it has {count} tensors")
    check_spec(architecture, spec)


def _expected_matrices(
    member: MemberConfig, names: Collection[str], codes: Mapping[str, WeightCodes]
) -> dict[str, Expected]:
    """The weights of the quantizable modules, with their scales."""
    expected: dict[str, Expected] = {}
    unknown = set(codes)
    for prefix, site in branch_sites(member.architecture, member.design).items():
        rows, columns = weight_shape(member.architecture, site)
        name = f"{prefix}{PLANES}"
        if name not in codes:
            expected[name] = Expected(dtype=_FLOAT, shape=(rows, columns))
            continue
        unknown.discard(name)
        alphabet = _alphabet(name, codes[name], columns)
        expected[name] = Expected(dtype=_PLANES, shape=plane_shape(rows, columns, alphabet))
        for scale in (STEP, OFFSET) if f"{prefix}{OFFSET}" in names else (STEP,):
            expected[f"{prefix}{scale}"] = Expected(dtype=_FLOAT, shape=(rows, 1))
    if unknown:
        raise UserError(f"codes of {shown(min(unknown))}, which is no matrix of the model")
    return expected


def _alphabet(name: str, codes: WeightCodes, columns: int) -> Alphabet:
    try:
        alphabet = codes.alphabet()
    except ValueError as error:
        raise UserError(f"codes of {shown(name)}: {error}") from error
    if problem := packing_problem(alphabet):
        raise UserError(f"codes of {shown(name)}: {problem}")
    if codes.columns != columns:
        raise UserError(f"codes of {shown(name)}: it has {codes.columns} columns, expected {columns}")
    return alphabet


def _expected_others(member: MemberConfig, matrices: Collection[str], states: MetaStates) -> dict[str, Expected]:
    """Everything but the matrices, with the state that quantizers of activations have."""
    state = states.of(member.architecture, member.design)
    return {
        name: Expected(dtype=np.dtype(str(tensor.dtype).removeprefix("torch.")), shape=tuple(tensor.shape))
        for name, tensor in state.items()
        if name not in matrices and not is_of_weight_quantizer(name)
    }


def _compare(expected: Mapping[str, Expected], arrays: Mapping[str, Array]) -> None:
    for name, tensor in expected.items():
        array = arrays.get(name)
        if array is None:
            raise UserError(f"{shown(name)} is missing")
        if array.dtype != tensor.dtype:
            raise UserError(f"{shown(name)} is of type {array.dtype}, expected {tensor.dtype}")
        # one scale for the whole matrix is as good as one for each row
        is_scale = name.endswith((f".{STEP}", f".{OFFSET}"))
        if array.shape != tensor.shape and not (is_scale and array.shape == ()):
            raise UserError(f"{shown(name)} has shape {shown(list(array.shape))}, expected {list(tensor.shape)}")
    if unexpected := arrays.keys() - expected.keys():
        raise UserError(f"{shown(min(unexpected))} is no tensor of the model")


def _value_problem(name: str, array: Array, codes: Mapping[str, WeightCodes]) -> str:
    """Which values a tensor has that it may not have; empty if there are none."""
    if name in codes:
        if find_padding(array, codes[name].columns):
            return f"has bits beyond its {codes[name].columns} columns"
        if find_unknown_index(array, codes[name].alphabet()):
            return f"has an index above {codes[name].alphabet().size - 1}, the highest of its alphabet"
    elif np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        return "has values that are not finite (NaN or infinite)"
    elif name.endswith(f".{STEP}") and (array < 0).any():
        return "is negative"
    elif array.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
        return "has a flag that is neither 0 nor 1"
    return ""
