"""Kits for what makes one model from another: schemes and splitters."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import evolve
from torch import Tensor
from torch.nn.functional import cross_entropy

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.inference.equality import compare_models
from bebertlab.interfaces.architecture import Checkpoint, QuantSpec
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.splitter import Splitter, SplitterOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.parameter_names import is_word_embedding
from bebertlab.model.requantize import apply_spec
from bebertlab.model.spec import branch_counts
from bebertlab.registry.registry import PluginSource, Registry
from bebertlab.testing.contract import ContractError, require
from bebertlab.testing.tiny import tiny_model, tiny_task


def check_scheme(options: SchemeOptions) -> None:
    """Check a scheme on a tiny model; one line in a plugin's tests.

    `spec()` gives the same spec each time, at sites that exist, with quantizers that YAML can
    hold, and has no branch counts, since it does not know the model. A full-precision model under the scheme keeps its
    weights, gives finite logits, trains (a finite gradient reaches every parameter), evaluates without changing its
    state, and is the same after its checkpoint is loaded.

    Raises:
        ContractError: an AssertionError that says what does not hold.
    """
    try:
        spec = options.spec()
        _check_spec(spec, options.spec())
        _check_quantized_model(spec)
    except (ContractError, UserError) as error:
        raise ContractError(f"scheme '{options.kind}': {'; '.join(str(error).splitlines())}") from error
    except (TypeError, ValueError) as error:  # of attrs and of the codec, which say what a value must be
        raise ContractError(f"scheme '{options.kind}': {error.args[0]}") from error


def _check_spec(spec: QuantSpec, again: QuantSpec) -> None:
    require(isinstance(spec, QuantSpec), f"spec() returns {type(spec).__name__}, not a QuantSpec")
    require(spec == again, "spec() returns another spec when it is called again")
    sites = {"weights": spec.weights, "inputs": spec.inputs, "attention": spec.attention}
    quantizers = [(f"{field}[{site}]", options) for field, at in sites.items() for site, options in at.items()]
    for name, quantizer in quantizers:
        require(
            isinstance(quantizer, QuantizerOptions), f"{name} is {quantizer!r}, not an instance of QuantizerOptions"
        )
    require(not spec.branches, "it has branch counts, which only a splitter knows")
    contributed = dict.fromkeys(type(quantizer) for _, quantizer in quantizers)
    registry = Registry().extended([(QuantizerOptions, cls) for cls in contributed], PluginSource(plugin="scheme"))
    codec = OptionsCodec(registry)
    require(codec.load(codec.dump(spec), QuantSpec) == spec, "its spec changes when it is saved and loaded")


def _check_quantized_model(spec: QuantSpec) -> None:
    source = tiny_model(tiny_task()).checkpoint()
    checkpoint = apply_spec(source, spec)
    counts = branch_counts(checkpoint.architecture, spec)
    require(max(counts.values()) <= 1, "it splits modules into branches, which only a splitter may do")
    model = BertClassifier.from_checkpoint(checkpoint)
    _check_training(model)
    model.eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        logits = model(_batch()).logits
        require(bool(logits.isfinite().all()), "the logits of the quantized model are NaN or infinite")
        require(torch.equal(model(_batch()).logits, logits), "the same batch has other logits the second time")
    _same(state, model.state_dict(), "evaluation changes '{}'")
    with torch.no_grad():
        loaded = BertClassifier.from_checkpoint(model.checkpoint()).eval()
        require(torch.equal(loaded(_batch()).logits, logits), "a model loaded from its checkpoint has other logits")


def _check_training(model: BertClassifier) -> None:
    """One step of plain gradient descent, which leaves the model with moved parameters."""
    batch = _batch()
    model.train()
    loss = cross_entropy(model(batch).logits, batch.labels)
    require(bool(loss.isfinite()), "the loss of the quantized model is NaN or infinite in training")
    torch.autograd.backward(loss)
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if gradient is None:
            raise ContractError(f"no gradient reaches '{name}'")
        require(bool(gradient.isfinite().all()), f"the gradient of '{name}' is NaN or infinite")
        with torch.no_grad():
            parameter.sub_(0.01 * gradient)


def check_splitter(options: SplitterOptions, spec: QuantSpec, *, tolerance: float = 1e-7) -> None:
    """Check a splitter on a tiny model with a spec that it can split; one line in a plugin's tests.

    The split model computes the same logits, to `tolerance` in double precision; where it declares modules as changed
    on purpose, every other module computes the same of the same inputs. Some module has more branches than before;
    tensors are finite, keep their dtype and share no memory; the source stays unchanged; splitting twice gives the
    same; a full-precision model is refused with a `UserError` before anything is measured; `spec()`, unless it returns
    None, gives the quantizers of the split model.

    Raises:
        ContractError: an AssertionError that says what does not hold.
    """
    try:
        _check_splitter(options.build(), _source(spec), tolerance, options.spec(spec))
    except ContractError as error:
        raise ContractError(f"splitter '{options.kind}': {error}") from None


def _check_splitter(splitter: Splitter, source: Checkpoint, tolerance: float, declared: QuantSpec | None) -> None:
    before_split = {name: tensor.clone() for name, tensor in source.tensors.items()}
    splitting = splitter.split(source, _loss)
    split = splitting.checkpoint
    _same(before_split, source.tensors, "splitting changes the source's '{}'")
    _check_tensors(split)
    if declared is not None:
        same_quantizers = declared.with_branches({}) == split.spec.with_branches({})
        require(same_quantizers, "spec() gives other quantizers than the split model has")
    _same(split.tensors, splitter.split(source, _loss).checkpoint.tensors, "splitting twice gives two different '{}'")
    before = branch_counts(source.architecture, source.spec)
    after = branch_counts(split.architecture, split.spec)
    require(any(after[path] > before[path] for path in before), "no module has more branches than before")
    if unknown := splitting.changed - before.keys():
        require(False, f"'{min(unknown)}' is declared as changed, and is not a quantizable module")
    distance = compare_models(_model(source), _model(split), _batch(), splitting.changed)
    if splitting.changed:
        error, what = (
            distance.modules,
            f"module '{distance.module}' differs by {distance.modules:.3g} from the source's",
        )
    else:
        error, what = distance.logits, f"the split model's logits differ by {distance.logits:.3g} from the source's"
    require(error <= tolerance, f"{what}, more than {tolerance:g}")
    try:
        splitter.split(_source(QuantSpec()), _not_measured)
    except UserError:
        return
    require(False, "a full-precision model is not refused")


def _check_tensors(split: Checkpoint) -> None:
    seen: dict[int, str] = {}
    for name, tensor in split.tensors.items():
        if not tensor.is_floating_point():
            continue
        require(tensor.dtype == torch.float64, f"'{name}' is {tensor.dtype}, the source's tensors are float64")
        require(bool(tensor.isfinite().all()), f"'{name}' holds NaN or infinity")
        other = seen.setdefault(tensor.data_ptr(), name)
        require(other == name, f"'{other}' and '{name}' share memory: clone one of them")


def _same(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], what: str) -> None:
    for name, tensor in expected.items():
        require(name in tensors and torch.equal(tensors[name], tensor), what.format(name))


def _source(spec: QuantSpec) -> Checkpoint:
    """A tiny model with a spec, in double precision; a batch has set its quantizers, one word embedding is zero."""
    model = tiny_model(tiny_task(), spec)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model.train()(_batch())
    checkpoint = model.checkpoint()
    tensors = {name: t.double() if t.is_floating_point() else t for name, t in checkpoint.tensors.items()}
    for name, tensor in tensors.items():
        if is_word_embedding(name):
            tensor[3] = 0.0
    return evolve(checkpoint, tensors=tensors)


def _model(checkpoint: Checkpoint) -> BertClassifier:
    model = BertClassifier(checkpoint.architecture, checkpoint.spec).double()
    try:
        model.load_state_dict(checkpoint.tensors)
    except RuntimeError as error:
        raise ContractError(f"the split checkpoint does not load: {error}") from error
    return model.eval()


def _loss(checkpoint: Checkpoint) -> float:
    batch = _batch()
    with torch.no_grad():
        return float(cross_entropy(_model(checkpoint)(batch).logits, batch.labels))


def _not_measured(checkpoint: Checkpoint) -> float:
    raise ContractError("a full-precision model is measured and not refused")


def _batch() -> Batch:
    tokens = torch.tensor([[2, 5, 9, 3, 6], [2, 7, 14, 3, 0], [2, 15, 3, 0, 0]])
    return Batch(
        positions=torch.arange(len(tokens)),
        tokens=tokens,
        segments=torch.zeros_like(tokens),
        mask=tokens != 0,
        labels=torch.arange(len(tokens)) % 2,
    )
