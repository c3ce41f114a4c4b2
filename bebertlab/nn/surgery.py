"""The same latent weights under another design."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint, Design
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.design import branch_counts, branch_prefix, layer_path, quantizable_modules


def redesign(checkpoint: Checkpoint, design: Design) -> Checkpoint:
    """Put another design on a model: weights and biases stay, quantizers whose options stay keep their state.

    Modules of several branches keep them where the design names no branch counts: a scheme does not know them.

    Raises:
        UserError: the design asks for other branch counts than the model has, or does not fit its architecture.
    """
    source = checkpoint.design
    design = design.with_branches({**_several(source), **design.branches})
    activation = design.activation or source.activation or checkpoint.architecture.activation
    architecture = evolve(checkpoint.architecture, activation=activation)
    tensors = dict(BertClassifier(architecture, design).state_dict())
    renamed = _renamed(architecture, source, design)
    fresh = tuple(_changed_quantizers(architecture, source, design))
    missing = []
    for name in tensors:
        if name.startswith(fresh):
            continue
        if (found := checkpoint.tensors.get(renamed.get(name, name))) is None:
            missing.append(renamed.get(name, name))
        else:
            tensors[name] = found.clone()
    if missing:
        raise UserError(f"the checkpoint lacks {', '.join(missing)}")
    return Checkpoint(architecture=architecture, design=design, tensors=tensors)


def _several(design: Design) -> dict[str, int]:
    return {path: count for path, count in design.branches.items() if count > 1}


def _renamed(architecture: Architecture, old: Design, new: Design) -> dict[str, str]:
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


def _changed_quantizers(architecture: Architecture, old: Design, new: Design) -> Iterator[str]:
    """What the tensors of quantizers begin with whose options are new: their state starts anew."""
    counts = branch_counts(architecture, new)
    for path, site in quantizable_modules(architecture).items():
        for branch in range(counts[path]):
            prefix = branch_prefix(path, branch, counts[path])
            if _differ(old.weights.get(site), new.weights.get(site)):
                yield f"{prefix}weight_quantizer."
            if _differ(old.inputs.get(site), new.inputs.get(site)):
                yield f"{prefix}input_quantizer."
    for site, options in new.attention.items():
        if _differ(old.attention.get(site), options):
            for index in range(architecture.layers):
                yield f"{layer_path(index)}.attention.self.quantizers.{site}."


def _differ(old: QuantizerOptions | None, new: QuantizerOptions | None) -> bool:
    return old != new
