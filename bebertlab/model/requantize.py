"""The same latent weights under another quantization spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec
from bebertlab.interfaces.capabilities import transferable_state
from bebertlab.interfaces.quantizer import Quantizer, QuantizerOptions
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.parameter_names import (
    INPUT_QUANTIZER,
    WEIGHT_QUANTIZER,
    attention_quantizer_prefix,
    branch_prefix,
)
from bebertlab.model.spec import branch_counts, quantizable_modules


def apply_spec(checkpoint: Checkpoint, spec: QuantSpec) -> Checkpoint:
    """The checkpoint under another spec: weights and biases stay, quantizers whose options stay keep their state.

    Of a quantizer whose options change, but not its kind, the tensors stay that it lists as `transferable_state`.
    Modules of several branches keep their branches where the spec has no branch counts: a scheme does not know them.
    Tensors that stay are shared with the checkpoint, not copied.

    Raises:
        UserError: the spec asks for other branch counts than the model has, or does not fit its architecture.
    """
    source = checkpoint.spec
    spec = spec.with_branches({**_branched(source), **spec.branches})
    activation = spec.activation or source.activation or checkpoint.architecture.activation
    architecture = evolve(checkpoint.architecture, activation=activation)
    model = meta_model(architecture, spec)
    old_names = _old_names(architecture, source, spec)
    changed = dict(_changed_quantizers(architecture, source, spec))
    transferable = frozenset(_transferable(model, (prefix for prefix, same_kind in changed.items() if same_kind)))
    tensors, missing = {}, []
    for name, tensor in model.state_dict().items():
        kept = checkpoint.tensors.get(old_names.get(name, name))
        if name.startswith(tuple(changed)) and (name not in transferable or kept is None or kept.shape != tensor.shape):
            tensors[name] = tensor  # of a fresh quantizer, whose tensors are real
        elif kept is None:
            missing.append(old_names.get(name, name))
        else:
            tensors[name] = kept
    if missing:
        raise UserError(f"the checkpoint lacks {', '.join(missing)}")
    return Checkpoint(architecture=architecture, spec=spec, tensors=tensors)


def _branched(spec: QuantSpec) -> dict[str, int]:
    return {path: count for path, count in spec.branches.items() if count > 1}


def _old_names(architecture: Architecture, old: QuantSpec, new: QuantSpec) -> dict[str, str]:
    """New to old name of every weight and bias whose module changes between ordinary and branched."""
    before, after = branch_counts(architecture, old), branch_counts(architecture, new)
    errors = [
        f"{path} has {max(before[path], 1)} branches and cannot get {max(count, 1)}; use a split stage"
        for path, count in after.items()
        if max(count, 1) != max(before[path], 1)
    ]
    if errors:
        raise UserError("\n".join(errors))
    return {
        branch_prefix(path, branch, count) + name: branch_prefix(path, branch, before[path]) + name
        for path, count in after.items()
        for branch in range(max(count, 1))
        for name in ("weight", "bias")
    }


def _transferable(model: BertClassifier, prefixes: Iterable[str]) -> Iterator[str]:
    """Names of the tensors that quantizers keep under other options."""
    for prefix in prefixes:
        quantizer = model.get_submodule(prefix.rstrip("."))
        if isinstance(quantizer, Quantizer):
            yield from (prefix + name for name in transferable_state(quantizer))


def _changed_quantizers(architecture: Architecture, old: QuantSpec, new: QuantSpec) -> Iterator[tuple[str, bool]]:
    """Prefix of the tensors of every quantizer whose options change, and whether its kind stays."""
    counts = branch_counts(architecture, new)
    for path, site in quantizable_modules(architecture).items():
        for branch in range(counts[path]):
            prefix = branch_prefix(path, branch, counts[path])
            pairs = {WEIGHT_QUANTIZER: (old.weights, new.weights), INPUT_QUANTIZER: (old.inputs, new.inputs)}
            for name, (before, after) in pairs.items():
                if site in after and before.get(site) != after[site]:
                    yield f"{prefix}{name}.", _same_kind(before.get(site), after[site])
    for site, options in new.attention.items():
        if old.attention.get(site) != options:
            for index in range(architecture.layers):
                prefix = attention_quantizer_prefix(index, site)
                yield prefix, _same_kind(old.attention.get(site), options)


def _same_kind(old: QuantizerOptions | None, new: QuantizerOptions) -> bool:
    return type(old) is type(new)
