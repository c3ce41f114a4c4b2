"""What every splitter must hold, whatever it does."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import evolve
from torch import Tensor
from torch.nn.functional import cross_entropy

from bebertlab.errors import UserError
from bebertlab.inference.equality import compare
from bebertlab.interfaces.architecture import Checkpoint, QuantSpec
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.splitter import Splitter, SplitterOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.spec import branch_counts
from bebertlab.testing.contract import ContractError, require
from bebertlab.testing.tiny import tiny_model, tiny_task


def check_splitter(options: SplitterOptions, spec: QuantSpec, *, tolerance: float = 1e-7) -> None:
    """Check a splitter on a tiny model of a design that it can split; one line in a plugin's tests.

    The split model computes the same logits, to `tolerance` in double precision, or where it says that some modules
    change on purpose all others the same of the same inputs; some module has more branches than before; tensors are
    finite, keep their dtype and share no memory; the source stays as it was; splitting twice gives the same; a
    full-precision model is refused with a `UserError`, before anything is measured; `spec()`, if it says anything,
    says which quantizers the split model has.

    Raises:
        ContractError: an AssertionError that says which law is broken and on what.
    """
    try:
        _check(options.build(), _source(spec), tolerance, options.spec(spec))
    except ContractError as law:
        raise ContractError(f"splitter '{options.kind}': {law}") from None


def _check(splitter: Splitter, source: Checkpoint, tolerance: float, declared: QuantSpec | None) -> None:
    given = {name: tensor.clone() for name, tensor in source.tensors.items()}
    splitting = splitter.split(source, _loss)
    split = splitting.checkpoint
    _same(given, source.tensors, "splitting changes the source's '{}'")
    _check_tensors(split)
    if declared is not None:
        same_quantizers = declared.with_branches({}) == split.spec.with_branches({})
        require(same_quantizers, "spec() says other quantizers than the split model has")
    _same(split.tensors, splitter.split(source, _loss).checkpoint.tensors, "splitting twice gives two different '{}'")
    before = branch_counts(source.architecture, source.spec)
    after = branch_counts(split.architecture, split.spec)
    require(any(after[path] > before[path] for path in before), "no module has more branches than before")
    if unknown := splitting.changed - before.keys():
        require(False, f"'{min(unknown)}' is said to change and is no quantizable module")
    same = compare(_model(source), _model(split), _batch(), splitting.changed)
    if splitting.changed:
        found, what = same.modules, f"module '{same.module}' differs by {same.modules:.3g} from the source's"
    else:
        found, what = same.logits, f"the split model's logits differ by {same.logits:.3g} from the source's"
    require(found <= tolerance, f"{what}, more than {tolerance:g}")
    try:
        splitter.split(_source(QuantSpec()), _unasked)
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


def _same(these: Mapping[str, Tensor], those: Mapping[str, Tensor], what: str) -> None:
    for name, tensor in these.items():
        require(name in those and torch.equal(those[name], tensor), what.format(name))


def _source(spec: QuantSpec) -> Checkpoint:
    """A tiny model of a design in double precision, its quantizers set by a batch, one word without weights."""
    model = tiny_model(tiny_task(), spec)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model.train()(_batch())
    checkpoint = model.checkpoint()
    tensors = {name: t.double() if t.is_floating_point() else t for name, t in checkpoint.tensors.items()}
    for name, tensor in tensors.items():
        if "word_embeddings" in name and tensor.ndim == 2:
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


def _unasked(checkpoint: Checkpoint) -> float:
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
