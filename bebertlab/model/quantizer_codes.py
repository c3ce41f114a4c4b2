"""Checks of the integers of a model's quantizers, most of which come from plugins.

A model trains with `forward` and is sized, packed and multiplied by `encode`: where the two disagree, or levels are
outside of the alphabet, its scores and sizes would be those of two different models.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bebertlab.errors import show_exception
from bebertlab.interfaces.architecture import Site
from bebertlab.interfaces.quantizer import Alphabet, Codes, Quantizer
from bebertlab.model.attention import SelfAttention
from bebertlab.model.bert import BertClassifier
from bebertlab.model.embedding import EmbeddingBranch
from bebertlab.model.linear import LinearBranch
from bebertlab.model.parameter_names import INPUT_QUANTIZER, WEIGHT_QUANTIZER
from bebertlab.model.primitives import at_least_float32
from bebertlab.model.quantizer_errors import BrokenQuantizer, describe_quantizer

#: projections whose outputs, by head, are what the quantizers of these sites get
_PROJECTIONS = {Site.ATTENTION_QUERY: "query", Site.ATTENTION_KEY: "key", Site.ATTENTION_VALUE: "value"}
_CHECKED = 2**14  #: elements of an activation, or one example
_LISTED = 3  #: wrong levels in a message

_Check = Callable[[Tensor], None]


def check_weight_codes(model: BertClassifier) -> None:
    """Check the levels of every quantized weight, and that they decode to what `forward` gives, bit for bit.

    In evaluation mode, whatever mode the model is in; it stays as it is, on its device.

    Raises:
        BrokenQuantizer: levels are outside of the alphabet of their quantizer, or stand for other values.
    """
    for path, branch in model.named_modules():
        if isinstance(branch, LinearBranch | EmbeddingBranch) and branch.weight_quantizer is not None:
            _check(branch.weight_quantizer, branch.weight, model, f"{path}.{WEIGHT_QUANTIZER}")


@contextmanager
def check_activation_codes(model: BertClassifier, network: nn.Module | None = None) -> Iterator[None]:
    """Within, the first input of every quantizer of activations is checked like the weights in `check_weight_codes`.

    Of large batches the first examples are checked, so that it takes less than a hundredth of the shortest evaluation.

    `network` is what runs, if not the model itself: a module with the paths of the model, such as that of its
    `InferenceModel`.

    Raises:
        BrokenQuantizer: in the first forward pass within.
    """
    handles = [*_register_checks(model, model if network is None else network)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _register_checks(model: BertClassifier, network: nn.Module) -> Iterator[RemovableHandle | _FirstCall]:
    """Hooks on modules that always run: many a quantizer is called by other methods than `forward`."""

    def check_of(quantizer: nn.Module, path: str) -> _Check:
        return lambda x: _check(cast("Quantizer", quantizer), x, model, path)

    for path, module in model.named_modules():
        if isinstance(module, LinearBranch) and module.input_quantizer is not None:
            linear = network.get_submodule(path.rpartition(".branches.")[0])
            yield _check_first_input(linear, check_of(module.input_quantizer, f"{path}.{INPUT_QUANTIZER}"))
        elif isinstance(module, SelfAttention):
            for name, quantizer in module.quantizers.items():
                quantizer_path = f"{path}.quantizers.{name}"
                check = check_of(quantizer, quantizer_path)
                if projection := _PROJECTIONS.get(Site(name)):
                    yield _check_first_output(network.get_submodule(f"{path}.{projection}"), module, check)
                else:
                    yield _FirstCall(network.get_submodule(quantizer_path), check)


def _check_first_input(module: nn.Module, check: _Check) -> RemovableHandle:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        handle.remove()
        check(_first_examples(inputs[0]))

    handle = module.register_forward_pre_hook(hook)
    return handle


def _check_first_output(projection: nn.Module, attention: SelfAttention, check: _Check) -> RemovableHandle:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        handle.remove()
        check(attention.by_head(_first_examples(output)))

    handle = projection.register_forward_hook(hook)
    return handle


class _FirstCall:
    """Checks the first input of a quantizer, whether `forward` gets it or, in exact predictions, `encode`."""

    def __init__(self, quantizer: nn.Module, check: _Check) -> None:
        self._quantizer, self._check = cast("Quantizer", quantizer), check
        self._encode = self._quantizer.encode
        self._hook = quantizer.register_forward_pre_hook(lambda _, inputs: self._first(inputs[0]))
        vars(quantizer)["encode"] = self

    def __call__(self, x: Tensor) -> Codes:
        self._first(x)
        return self._encode(x)

    def remove(self) -> None:
        self._hook.remove()
        vars(self._quantizer).pop("encode", None)

    def _first(self, x: Tensor) -> None:
        self.remove()
        self._check(_first_examples(x))


def _first_examples(x: Tensor) -> Tensor:
    return x[: max(1, _CHECKED * len(x) // x.numel())]


def _check(quantizer: Quantizer, x: Tensor, model: BertClassifier, path: str) -> None:
    try:
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            # a copy has no effect on the training; it takes as long as the check, which evaluation does without
            evaluated = copy.deepcopy(quantizer).eval() if quantizer.training else quantizer
            violation = _violation(evaluated, at_least_float32(x.detach()))
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        raise _broken(f"comparing encode(x) with forward(x): {show_exception(error)}", model, path) from error
    if violation is not None:
        raise _broken(violation, model, path)


def _broken(violation: str, model: BertClassifier, path: str) -> BrokenQuantizer:
    place = describe_quantizer(path, model.architecture, model.spec)
    return BrokenQuantizer(f"{place}: {violation}; bebertlab.testing.check_quantizer, in a test, explains the contract")


def _violation(quantizer: Quantizer, x: Tensor) -> str | None:
    """How a quantizer breaks its contract on a tensor, None if it does not."""
    alphabet = quantizer.alphabet
    y, codes = quantizer(x), quantizer.encode(x)
    if not isinstance(codes, Codes):
        return f"encode() must return Codes, returns a {type(codes).__name__}"
    if codes.alphabet != alphabet:
        return f"encode() returns codes of {_shown(codes.alphabet)}, but the quantizer declares {_shown(alphabet)}"
    levels, decoded = codes.levels, codes.decode()
    if levels.is_floating_point():
        return f"encode() returns levels of {levels.dtype}, which is no integer dtype"
    if not levels.shape == decoded.shape == y.shape:
        shapes = f"{tuple(levels.shape)}, decoded {tuple(decoded.shape)}"
        return f"encode() returns levels of the shape {shapes}; forward() a tensor of the shape {tuple(y.shape)}"
    if decoded.dtype != y.dtype:
        return f"encode(x).decode() is of {decoded.dtype}, forward(x) of {y.dtype}"
    if alphabet.contains(levels) and torch.equal(decoded, y):
        return None
    # a model that diverged has no levels; that is reported for its logits
    finite = x.isfinite() & y.isfinite()
    return _wrong_levels(levels[finite], alphabet) or _difference(decoded[finite], y[finite])


def _wrong_levels(levels: Tensor, alphabet: Alphabet) -> str | None:
    if alphabet.contains(levels):
        return None
    wrong = [level for level in torch.unique(levels).tolist() if not alphabet.contains(torch.tensor([level]))]
    listed = ", ".join(map(str, wrong[:_LISTED]))
    more = f" and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
    name = "the level" if len(wrong) == 1 else "the levels"
    return f"encode() returns {name} {listed}{more}, outside of {_shown(alphabet)}"


def _difference(decoded: Tensor, y: Tensor) -> str | None:
    different = int((decoded != y).sum())
    if not different:
        return None
    largest = float((decoded - y).abs().max())
    return (
        f"encode(x).decode() must equal forward(x) bit for bit, and differs in {different} of {y.numel()} elements,"
        f" by {largest:.3g} at most"
    )


def _shown(alphabet: Alphabet) -> str:
    spacing = f" in steps of {alphabet.spacing}" if alphabet.spacing > 1 else ""
    return f"the alphabet {alphabet.low}..{alphabet.high}{spacing}"
