"""Errors in quantizers, most of which come from plugins: they name the quantizer and where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bebertlab.errors import UserError, show_exception
from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab.interfaces.quantizer import Alphabet, Quantizer, QuantizerOptions
from bebertlab.model.spec import quantizable_modules


def build_quantizer(options: QuantizerOptions, shape: torch.Size, purpose: str) -> Quantizer:
    """A quantizer for a tensor shape, in main memory also where a model has none; `purpose` is for messages.

    Raises:
        UserError: it cannot be built, or does not keep the contract as far as that shows; names the quantizer.
    """
    name, place = f"quantizer '{options.kind}'", f"quantizer '{options.kind}' ({purpose})"
    try:
        with torch.device("cpu"):
            quantizer: object = options.build(shape)
    except UserError as error:
        raise type(error)(f"{place}: {str(error).removeprefix(f'{name}: ')}") from error
    except Exception as error:
        raise UserError(f"{place}: build({tuple(shape)}) failed: {show_exception(error)}") from error
    if not isinstance(quantizer, Quantizer):
        raise UserError(f"{place}: build() must return a Quantizer, returns a {type(quantizer).__name__}")
    if not isinstance(getattr(quantizer, "alphabet", None), Alphabet):
        raise UserError(
            f"{place}: {type(quantizer).__name__} must declare `alphabet`, the integers that encode() gives"
        )
    return quantizer


class BrokenQuantizer(UserError):
    """A quantizer breaks its contract; the message names it, its site and its path."""


@contextmanager
def quantizer_errors(
    find_path: Callable[[nn.Module], str | None], architecture: Architecture, spec: QuantSpec
) -> Iterator[None]:
    """Within, an error raised inside a quantizer becomes a `UserError` that names it and its path.

    `find_path` gives the path of a quantizer in the model, None where it is not of the model.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, BrokenQuantizer):
        raise
    except Exception as error:
        quantizer = _raised_in(error)
        path = None if quantizer is None else find_path(quantizer)
        if path is None:
            raise
        kind = error.__class__ if isinstance(error, UserError) else UserError
        reason = str(error) if isinstance(error, UserError | ValueError) else show_exception(error)
        raise kind(f"{describe_quantizer(path, architecture, spec)}: {reason}") from error


@contextmanager
def check_outputs(model: nn.Module) -> Iterator[None]:
    """Within, the output of every quantizer must have the shape and dtype of its input, and must not be NaN alone.

    Reads values back from the device, so it is for a first step, not for all of them.

    Raises:
        ValueError: an output is wrong; inside `quantizer_errors` a `UserError` that names the quantizer.
    """
    handles = [
        module.register_forward_hook(_check_output) for module in model.modules() if isinstance(module, Quantizer)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_output(quantizer: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
    (x,) = inputs
    if not isinstance(output, Tensor):
        raise ValueError(f"forward() must return a tensor, returns a {type(output).__name__}")
    if output.shape != x.shape:
        raise ValueError(f"forward() must keep the shape {tuple(x.shape)}, returns {tuple(output.shape)}")
    if output.dtype != x.dtype:
        raise ValueError(f"forward() must keep the dtype {x.dtype}, returns {output.dtype}")
    if not output.isfinite().all() and x.isfinite().all():
        raise ValueError("forward() returns NaN or infinity for finite values")


def _raised_in(error: BaseException) -> Quantizer | None:
    """The innermost quantizer in whose call an error was raised."""
    innermost = None
    traceback = error.__traceback__
    while traceback is not None:
        caller = traceback.tb_frame.f_locals.get("self")
        if isinstance(caller, Quantizer):
            innermost = caller
        traceback = traceback.tb_next
    return innermost


def describe_quantizer(path: str, architecture: Architecture, spec: QuantSpec) -> str:
    """Kind, site and path of the quantizer at a module path, for messages."""
    sites = quantizable_modules(architecture)
    module = next((module for module in sites if path.startswith(f"{module}.")), None)
    if module is None:
        site = Site(path.rpartition(".")[2])
        options, name = spec.attention.get(site), f"attention.{site}"
    elif "input_quantizer" in path.removeprefix(module):
        site = sites[module]
        options, name = spec.inputs.get(site), f"inputs.{site}"
    else:
        site = sites[module]
        options, name = spec.weights.get(site), f"weights.{site}"
    kind = "" if options is None else f" '{options.kind}'"
    return f"quantizer{kind} ({name}, {path})"
