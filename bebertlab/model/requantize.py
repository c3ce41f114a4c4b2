"""The same latent weights under another design."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec
from bebertlab.interfaces.quantizer import Quantizer, QuantizerOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.spec import branch_counts, branch_prefix, layer_path, quantizable_modules


def apply_spec(checkpoint: Checkpoint, spec: QuantSpec) -> Checkpoint:
    """Put another design on a model: weights and biases stay, quantizers whose options stay keep their state.

    Of a quantizer whose options change, but not its kind, the tensors stay that it calls `transferable_state`.
    Modules of several branches keep them where the design names no branch counts: a scheme does not know them.

    Raises:
        UserError: the design asks for other branch counts than the model has, or does not fit its architecture.
    """
    source = checkpoint.spec
    spec = spec.with_branches({**_several(source), **spec.branches})
    activation = spec.activation or source.activation or checkpoint.architecture.activation
    architecture = evolve(checkpoint.architecture, activation=activation)
    model = BertClassifier(architecture, spec)
    tensors = dict(model.state_dict())
    renamed = _renamed(architecture, source, spec)
    changed = dict(_changed_quantizers(architecture, source, spec))
    fresh = tuple(changed)
    transferable_state = frozenset(_lasting(model, (prefix for prefix, same_kind in changed.items() if same_kind)))
    missing = []
    for name, tensor in tensors.items():
        found = checkpoint.tensors.get(renamed.get(name, name))
        if name.startswith(fresh) and (name not in transferable_state or found is None or found.shape != tensor.shape):
            continue
        if found is None:
            missing.append(renamed.get(name, name))
        else:
            tensors[name] = found.clone()
    if missing:
        raise UserError(f"the checkpoint lacks {', '.join(missing)}")
    return Checkpoint(architecture=architecture, spec=spec, tensors=tensors)


def _several(spec: QuantSpec) -> dict[str, int]:
    return {path: count for path, count in spec.branches.items() if count > 1}


def _renamed(architecture: Architecture, old: QuantSpec, new: QuantSpec) -> dict[str, str]:
    """New to old name of every weight and bias whose module changes between ordinary and branched."""
    before, after = branch_counts(architecture, old), branch_counts(architecture, new)
    faults = [
        f"{path} has {max(before[path], 1)} branches and cannot get {max(count, 1)}; use a split stage"
        for path, count in after.items()
        if max(count, 1) != max(before[path], 1)
    ]
    if faults:
        raise UserError("\n".join(faults))
    return {
        branch_prefix(path, branch, count) + what: branch_prefix(path, branch, before[path]) + what
        for path, count in after.items()
        for branch in range(max(count, 1))
        for what in ("weight", "bias")
    }


def _lasting(model: BertClassifier, prefixes: Iterable[str]) -> Iterator[str]:
    """Names of the tensors that quantizers keep under other options."""
    for prefix in prefixes:
        quantizer = model.get_submodule(prefix.rstrip("."))
        if isinstance(quantizer, Quantizer):
            yield from (prefix + name for name in quantizer.transferable_state)


def _changed_quantizers(architecture: Architecture, old: QuantSpec, new: QuantSpec) -> Iterator[tuple[str, bool]]:
    """What the tensors of quantizers begin with whose options are new, and whether their kind stays."""
    counts = branch_counts(architecture, new)
    for path, site in quantizable_modules(architecture).items():
        for branch in range(counts[path]):
            prefix = branch_prefix(path, branch, counts[path])
            pairs = {"weight_quantizer": (old.weights, new.weights), "input_quantizer": (old.inputs, new.inputs)}
            for name, (before, after) in pairs.items():
                if site in after and before.get(site) != after[site]:
                    yield f"{prefix}{name}.", _same_kind(before.get(site), after[site])
    for site, options in new.attention.items():
        if old.attention.get(site) != options:
            for index in range(architecture.layers):
                prefix = f"{layer_path(index)}.attention.self.quantizers.{site}."
                yield prefix, _same_kind(old.attention.get(site), options)


def _same_kind(old: QuantizerOptions | None, new: QuantizerOptions) -> bool:
    return type(old) is type(new)
