"""Selecting the state of a phase that is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from attrs import frozen
from torch import Tensor

from bebertlab.data.batches import batches
from bebertlab.inference.predict import evaluation_plan, predict
from bebertlab.inference.prepare import prepare
from bebertlab.interfaces.batch import Batch, Outputs
from bebertlab.interfaces.metric_names import SCORE
from bebertlab.interfaces.task import SELECT
from bebertlab.interfaces.training_state import TrainingState
from bebertlab.model.bert import BertClassifier
from bebertlab.model.slice import Network, target_of
from bebertlab.training.curve import SelectMeasure
from bebertlab.training.objective import PhaseLoss
from bebertlab.training.setup import TrainingSetup


@frozen(kw_only=True)
class Evaluation:
    """A measurement on the select split."""

    value: float  #: score or loss, see `measure`; a mean where several networks are trained
    measure: SelectMeasure
    best: bool  #: not worse than all before, so that its state is kept


class Selection:
    """Keeps the best state of a model over the evaluations of a phase.

    Best is the highest `score` on the select split; of equal ones the later, which has trained longer. Where no loss of
    the phase reaches the logits (hidden states and attention scores only), the head is not trained and its score is
    meaningless: there, best is the lowest loss on the select split.
    Where a phase trains sub-networks on the weights of the model, the mean of their scores (or losses) counts, as in
    DynaBERT's published code: the model itself may not be among them, or be the easiest to train.
    Differs: the reference selects by accuracy in every phase, and keeps nothing where that is never above 0.
    """

    def __init__(
        self,
        model: BertClassifier,
        objective: PhaseLoss,
        setup: TrainingSetup,
        *,
        by_loss: bool,
        networks: Sequence[Network] = (),
    ) -> None:
        self._model = model
        self._networks: Sequence[Network] = networks or (model,)
        self._objective = objective
        self._setup = setup
        self._measure: SelectMeasure = "loss" if by_loss else "score"
        self._best = -math.inf
        self._state: dict[str, Tensor] | None = None
        self.last: Mapping[str, Tensor] | None = None  #: where the setup asks for it and another state was kept

    def state(self) -> TrainingState:
        """The best state so far, and how good it is."""
        return TrainingState(
            tensors=self._state or {},
            data={"by_loss": self._measure == "loss", "best": self._best, "kept": self._state is not None},
        )

    def restore(self, state: TrainingState) -> None:
        """Continue from a state; `by_loss` was given when this object was created."""
        self._best = state.data["best"]
        device = self._setup.device
        self._state = {k: t.to(device) for k, t in state.tensors.items()} if state.data["kept"] else None

    def consider(self, *, last: bool) -> Evaluation:
        """Evaluate the model; keep its state if it is the best so far, or restore the best one if this is the last."""
        by_loss = self._measure == "loss"
        values = [self._loss(network) if by_loss else self._score(network) for network in self._networks]
        value = sum(values) / len(values)
        rank = -value if by_loss else value
        best = math.isfinite(value) and rank >= self._best
        if best:
            self._best = rank
            self._state = None if last else _copy(self._model)
        elif last and self._state is not None:
            if self._setup.keep_last:
                self.last = _copy(self._model)
            self._model.load_state_dict(self._state)
        return Evaluation(value=value, measure=self._measure, best=best)

    def _score(self, network: Network) -> float:
        setup = self._setup
        logits = predict(network, setup.select, device=setup.device, precision=setup.options.precision)
        if not torch.isfinite(logits).all():
            return math.nan
        return setup.task.evaluate(SELECT, logits.numpy())[SCORE]

    def _loss(self, network: Network) -> float:
        """The mean of the objective over the select split."""
        setup, objective = self._setup, self._objective
        plan = evaluation_plan(network, setup.select, setup.device)
        losses, sizes = [], []
        prepared = prepare(network, setup.options.precision)
        with torch.no_grad():
            for batch in batches(setup.select, plan, device=setup.device):
                student = prepared(batch, objective.student_taps)
                losses.append(objective(student, target_of(network, self._target(batch)), batch))
                sizes.append(len(batch.positions))
        weights = torch.tensor(sizes, dtype=torch.float32)
        return float((torch.stack(losses).float().cpu() * weights).sum() / weights.sum())

    def _target(self, batch: Batch) -> Outputs | None:
        if self._setup.teacher is None or not self._objective.needs_teacher:
            return None
        if not self._objective.teacher_taps:
            logits = self._setup.teacher.logits(self._setup.teacher_view.select, self._setup.options.precision)
            return Outputs(logits=logits.index_select(0, batch.positions), taps={})
        return self._setup.teacher.answer(batch, self._objective.teacher_taps)


def _copy(model: BertClassifier) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
