"""What every loss must hold, whatever it does."""

from __future__ import annotations

import torch
from attrs import evolve
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.testing.contract import ContractError, require

_BATCH, _TOKENS, _HIDDEN, _HEADS, _LAYERS = 4, 6, 8, 2, 2
_MASKED = -10_000.0


def check_loss(options: LossOptions) -> None:
    """Check a loss for 2 and 3 classes and for regression; one line in a plugin's tests.

    There is a term; terms have the shape that `per_example` says and are finite; those of an example do not depend
    on the others of the batch; only the declared taps are read; the gradient reaches the student and never the
    teacher; without `needs_teacher` none is needed. A task may be refused with a `UserError`.

    Raises:
        ContractError: an AssertionError that says which law is broken and on what.
    """
    refused = []
    for classes in (2, 3, 1):
        try:
            loss = options.build(classes)
        except UserError as error:
            refused.append(str(error))
            continue
        try:
            _check(loss, classes)
        except ContractError as law:
            raise ContractError(f"loss '{options.kind}' for {classes} outputs: {law}") from None
    require(len(refused) < 3, f"loss '{options.kind}' refuses every task: {'; '.join(refused)}")


def _check(loss: Loss, classes: int) -> None:
    batch = _batch(classes)
    student = _outputs(loss.student_taps, classes, seed=0)
    teacher = _outputs(loss.teacher_taps, classes, seed=1) if loss.needs_teacher else None
    terms = _terms(loss, student, teacher, batch)
    require(bool(terms), "it has no term")
    wanted = (_BATCH,) if loss.per_example else ()
    for name, term in terms.items():
        require(
            tuple(term.shape) == wanted,
            f"per_example is {loss.per_example}, so term '{name}' has shape {wanted}, not {tuple(term.shape)}",
        )
        require(bool(term.isfinite().all()), f"term '{name}' is NaN or infinite")
    _check_gradient(terms, student, teacher)
    if loss.per_example:
        _check_examples(loss, terms, student, teacher, batch)


def _terms(loss: Loss, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
    try:
        return dict(loss(student, teacher, batch))
    except KeyError as error:
        raise ContractError(f"it reads a tap that it does not declare: {error}") from error


def _check_gradient(terms: dict[str, Tensor], student: Outputs, teacher: Outputs | None) -> None:
    total = torch.stack([term.sum() for term in terms.values()]).sum()
    require(total.requires_grad, "no gradient reaches the student")
    torch.autograd.backward(total)
    gradients = [tensor.grad for tensor in _tensors(student) if tensor.grad is not None]
    require(any(bool(gradient.any()) for gradient in gradients), "the gradient of the student is 0 everywhere")
    require(all(bool(gradient.isfinite().all()) for gradient in gradients), "the gradient of the student is not finite")
    reached = teacher is not None and any(tensor.grad is not None for tensor in _tensors(teacher))
    require(not reached, "a gradient reaches the teacher: detach its tensors")


def _check_examples(
    loss: Loss, terms: dict[str, Tensor], student: Outputs, teacher: Outputs | None, batch: Batch
) -> None:
    """Half of the batch has the same terms as within the whole."""
    half = _BATCH // 2
    part = loss(_first(student, half), None if teacher is None else _first(teacher, half), _first_of(batch, half))
    for name, term in part.items():
        same = torch.allclose(term, terms[name][:half], rtol=1e-5, atol=1e-7)
        require(same, f"per_example is True, but term '{name}' of an example depends on the others of the batch")


def _first(outputs: Outputs, count: int) -> Outputs:
    taps = {tap: tuple(tensor[:count] for tensor in tensors) for tap, tensors in outputs.taps.items()}
    return Outputs(logits=outputs.logits[:count], taps=taps)


def _first_of(batch: Batch, count: int) -> Batch:
    return evolve(
        batch,
        positions=batch.positions[:count],
        tokens=batch.tokens[:count],
        segments=batch.segments[:count],
        mask=batch.mask[:count],
        labels=batch.labels[:count],
    )


def _tensors(outputs: Outputs) -> list[Tensor]:
    return [outputs.logits, *(tensor for tensors in outputs.taps.values() for tensor in tensors)]


def _batch(classes: int) -> Batch:
    lengths = torch.tensor([6, 3, 5, 2])
    labels = torch.tensor([0.5, 2.0, 5.0, 1.0]) if classes == 1 else torch.tensor([0, 1, 1, 0])
    return Batch(
        positions=torch.arange(_BATCH),
        tokens=torch.arange(_BATCH * _TOKENS).view(_BATCH, _TOKENS),
        segments=torch.zeros(_BATCH, _TOKENS, dtype=torch.int64),
        mask=torch.arange(_TOKENS) < lengths[:, None],
        labels=labels,
    )


def _outputs(taps: frozenset[Tap], classes: int, *, seed: int) -> Outputs:
    """Random outputs with exactly the declared taps, each a leaf that can have a gradient."""
    generator = torch.Generator().manual_seed(seed)
    masked = ~_batch(classes).mask[:, None, None, :]

    def leaf(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).requires_grad_()

    def tap_tensor(tap: Tap) -> Tensor:
        if tap is Tap.HIDDEN:
            return leaf(_BATCH, _TOKENS, _HIDDEN)
        values = leaf(_BATCH, _HEADS, _TOKENS, _TOKENS).detach()
        if tap is Tap.SCORES:
            values = values + _MASKED * masked
        if tap is Tap.PROBABILITIES:
            values = values.masked_fill(masked, _MASKED).softmax(-1)
        return values.requires_grad_()

    count = {tap: _LAYERS + 1 if tap is Tap.HIDDEN else _LAYERS for tap in taps}
    made = {tap: tuple(tap_tensor(tap) for _ in range(count[tap])) for tap in sorted(taps)}
    return Outputs(logits=leaf(_BATCH, classes), taps=made)
