"""A quantization specification applied to the modules of an architecture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bebertlab.errors import UserError, suggestion
from bebertlab.interfaces.architecture import (
    ATTENTION_SITES,
    LINEAR_SITES,
    WEIGHT_SITES,
    Architecture,
    QuantSpec,
    Site,
)
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.model.parameter_names import LINEAR_PATHS, POOLER, WORD_EMBEDDINGS, layer_path


def quantizable_modules(architecture: Architecture) -> dict[str, Site]:
    """Module path to site of all quantizable weights, in the order of the forward pass."""
    modules = {WORD_EMBEDDINGS: Site.WORD_EMBEDDING}
    for index in range(architecture.layers):
        modules |= {f"{layer_path(index)}.{name}": site for name, site in LINEAR_PATHS.items()}
    return modules | {POOLER: Site.POOLER}


def branch_counts(architecture: Architecture, spec: QuantSpec) -> dict[str, int]:
    """Summed branches of every quantizable module by path; 0 is an ordinary module, without branches."""
    counts = {}
    for path, site in quantizable_modules(architecture).items():
        branches = spec.branches.get(path, 1)
        plain = site not in spec.weights and site not in spec.inputs and branches == 1
        counts[path] = 0 if plain else branches
    return counts


def check_spec(architecture: Architecture, spec: QuantSpec) -> None:
    """Check that a specification names sites and modules that the architecture has, and suitable quantizers.

    Raises:
        UserError: all errors, one per line.
    """
    paths = quantizable_modules(architecture)
    errors = [
        *_site_errors(spec),
        *_unknown_names("branches", spec.branches, paths),
        *(f"branches: '{path}' has {count}; expected at least 1" for path, count in spec.branches.items() if count < 1),
    ]
    if spec.activation not in (None, "gelu", "relu"):
        errors.append(f"activation: '{spec.activation}' is not known (known: gelu, relu)")
    if not spec.softmax and Site.ATTENTION_PROBABILITIES not in spec.attention:
        errors.append("softmax: without it a quantizer at attention_probabilities must select keys (such as bool)")
    if errors:
        raise UserError("\n".join(errors))


def check_sites(spec: QuantSpec) -> None:
    """Check the sites of a specification, and that each quantizer applies to the operand there: weights or activations.

    Raises:
        UserError: all errors, one per line.
    """
    if errors := _site_errors(spec):
        raise UserError("\n".join(errors))


def _site_errors(spec: QuantSpec) -> list[str]:
    fields: tuple[tuple[str, Mapping[Site, QuantizerOptions], tuple[Site, ...], str], ...] = (
        ("weights", spec.weights, WEIGHT_SITES, "weights"),
        ("inputs", spec.inputs, LINEAR_SITES, "activations"),
        ("attention", spec.attention, ATTENTION_SITES, "activations"),
    )
    errors = [error for field, quantizers, sites, _ in fields for error in _unknown_names(field, quantizers, sites)]
    for field, quantizers, _, operand in fields:
        for site, options in quantizers.items():
            if options.applies_to not in (operand, "both"):
                errors.append(
                    f"{field}.{site}: quantizer '{options.kind}' is for {options.applies_to} only; {field} expects a"
                    f" quantizer of {operand}"
                )
    return errors


def _unknown_names(field: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    listed = [str(name) for name in known]
    return [f"{field}: no site '{name}'; {suggestion(str(name), listed)}" for name in names if name not in listed]
