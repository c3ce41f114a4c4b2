"""Kits for what a student learns from: losses and distillations."""

from __future__ import annotations

import torch
from attrs import evolve
from torch import Tensor

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import DistillationOptions, Phase, resolve_phases
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.interfaces.stage import Codec
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.slice import phase_networks, target_of
from bebertlab.registry.manager import load_plugins
from bebertlab.testing.contract import ContractError, require
from bebertlab.training.objective import PhaseLoss

_BATCH, _TOKENS, _HIDDEN, _HEADS, _LAYERS = 4, 6, 8, 2, 2
_MASKED = -10_000.0


def check_loss(options: LossOptions) -> None:
    """Check a loss for 2 and 3 classes and for regression; one line in a plugin's tests.

    It has a term; terms are finite and have the shape that `per_example` promises, in which case the term of an example
    does not depend on the others of the batch; it reads only the taps it declares; the gradient reaches the student and
    never the teacher; without `needs_teacher` it works without one. A number of outputs may be refused with a
    `UserError`.

    Raises:
        ContractError: an AssertionError that says what does not hold, and for how many outputs.
    """
    refused = []
    for classes in (2, 3, 1):
        try:
            loss = options.build(classes)
        except UserError as error:
            refused.append(str(error))
            continue
        try:
            _check_loss(loss, classes)
        except ContractError as error:
            raise ContractError(f"loss '{options.kind}' for {classes} outputs: {error}") from None
    require(len(refused) < 3, f"loss '{options.kind}' refuses every task: {'; '.join(refused)}")


def _check_loss(loss: Loss, classes: int) -> None:
    batch = _batch(classes)
    student = _outputs(loss.student_taps, classes, seed=0)
    teacher = _outputs(loss.teacher_taps, classes, seed=1) if loss.needs_teacher else None
    terms = _terms(loss, student, teacher, batch)
    require(bool(terms), "it has no term")
    expected = (_BATCH,) if loss.per_example else ()
    for name, term in terms.items():
        require(
            tuple(term.shape) == expected,
            f"per_example is {loss.per_example}; expected shape {expected} of term '{name}', not {tuple(term.shape)}",
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
    """Half of the batch alone has the same terms as in the whole batch."""
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
    taps_of_layers = {tap: tuple(tap_tensor(tap) for _ in range(count[tap])) for tap in sorted(taps)}
    return Outputs(logits=leaf(_BATCH, classes), taps=taps_of_layers)


def check_distillation(options: DistillationOptions, codec: Codec | None = None) -> None:
    """Check a distillation for 2 and 3 classes and for regression; one line in a plugin's tests.

    It has a phase, the same ones each time, with distinct names; each has a loss. In each phase, a student of four
    layers and a teacher of the same sizes give every sub-network of the phase a finite loss and gradient, which is not
    0 for every task. `codec` loads the losses that are given by their kind; by default that of the installed plugins.
    A number of outputs may be refused with a `UserError`.

    Raises:
        ContractError: an AssertionError that says what does not hold, and in which phase.
    """
    try:
        phases = options.phases()
        _check_phases(phases, options.phases())
        if any(phase.named_losses for phase in phases):
            phases = resolve_phases(options, codec or OptionsCodec(load_plugins().registry))
        for phase in phases:
            _check_phase(phase)
    except (ContractError, UserError) as error:
        message = "; ".join(str(error).splitlines())
        raise ContractError(f"distillation '{options.kind}': {message}") from error


def _check_phases(phases: tuple[Phase, ...], again: tuple[Phase, ...]) -> None:
    is_tuple = isinstance(phases, tuple) and all(isinstance(phase, Phase) for phase in phases)
    require(is_tuple, f"phases() returns {phases!r}, not a tuple of Phase")
    require(bool(phases), "it has no phase")
    require(phases == again, "phases() returns other phases when it is called again")
    names = [phase.name for phase in phases]
    require(all(name.strip() for name in names), f"a phase has no name: {names}")
    require(len(set(names)) == len(names), f"two phases have the same name: {names}")
    for phase in phases:
        require(bool(phase.losses or phase.named_losses), f"phase '{phase.name}' has no loss")
        wrong = [loss for loss in phase.losses if not isinstance(loss, LossOptions)]
        require(not wrong, f"phase '{phase.name}': {wrong} are not instances of LossOptions")


def _check_phase(phase: Phase) -> None:
    refused, moved = [], False
    for outputs in (2, 3, 1):
        try:
            objective = PhaseLoss(phase.losses, outputs)
        except UserError as error:
            refused.append(str(error))
            continue
        moved |= _learns(phase, objective, outputs)
    require(len(refused) < 3, f"phase '{phase.name}' refuses every task: {'; '.join(refused)}")
    require(moved, f"phase '{phase.name}': the gradient of the student is 0 everywhere")


def _learns(phase: Phase, objective: PhaseLoss, outputs: int) -> bool:
    """Whether a step of the phase would change the student."""
    where = f"phase '{phase.name}' for {outputs} outputs"
    student, teacher = _model(outputs, seed=0).train(), _model(outputs, seed=1).eval()
    batch = _batch(outputs)
    with torch.no_grad():
        target = teacher(batch, objective.teacher_taps) if objective.needs_teacher else None
    for network in phase_networks(student, phase, where):
        loss = objective(network(batch, objective.student_taps), target_of(network, target), batch)
        require(bool(loss.isfinite()), f"{where}: the loss is NaN or infinite")
        require(loss.requires_grad, f"{where}: no gradient reaches the student")
        torch.autograd.backward(loss)
    gradients = [parameter.grad for parameter in student.parameters() if parameter.grad is not None]
    finite = all(bool(gradient.isfinite().all()) for gradient in gradients)
    require(finite, f"{where}: the gradient of the student is NaN or infinite")
    return any(bool(gradient.any()) for gradient in gradients)


def _model(outputs: int, *, seed: int) -> BertClassifier:
    """A model with enough heads and layers for sub-networks of a quarter."""
    architecture = Architecture(
        vocabulary=_BATCH * _TOKENS,
        positions=_TOKENS,
        hidden=16,
        heads=4,
        head_size=4,
        ffn=32,
        layers=4,
        classes=outputs,
        dropout=0.0,
        attention_dropout=0.0,
    )
    return BertClassifier.from_checkpoint(random_checkpoint(architecture, seed, spread=0.2))
