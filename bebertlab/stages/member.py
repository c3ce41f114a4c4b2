"""One member of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
import torch
from attrs import evolve, field, frozen, validators
from safetensors.torch import save_file
from torch import Tensor

from bebertlab.artifacts.baselines import teacher_metrics
from bebertlab.artifacts.metrics import write_metrics
from bebertlab.artifacts.model import evaluate_and_save, read_model, read_teacher, set_up_training
from bebertlab.errors import TrainingDiverged, UserError
from bebertlab.inference.predict import predict
from bebertlab.interfaces.distillation import DistillationOptions, resolve_phases
from bebertlab.interfaces.ensemble import EnsembleOptions, Floats, MemberResult, SampleWeights
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import (
    Artifact,
    Codec,
    Composition,
    Context,
    Inputs,
    PlannedModel,
    Planning,
    QuantSpecs,
    StageOptions,
    stage_input,
)
from bebertlab.interfaces.task import TRAIN, Task
from bebertlab.interfaces.training_data import TrainingData
from bebertlab.model.bert import BertClassifier
from bebertlab.model.folder import save_model
from bebertlab.model.slice import check_parts
from bebertlab.stages.distill import needed_teacher
from bebertlab.stages.member_result import UNTRAINED, StoredMember, read_member_result, write_member_result
from bebertlab.stages.none import NoneOptions
from bebertlab.stages.strategy import check_member_result, first_sample_weights, training_data
from bebertlab.stages.teaching import plan_student, student_composition
from bebertlab.training.loop import Training, train_phases
from bebertlab.training.objective import PhaseLoss
from bebertlab.training.options import TrainOptions
from bebertlab.training.seed import derive_seed
from bebertlab.training.setup import TrainingSetup

TRAIN_LOGITS_FILE = "train_logits.safetensors"
LAST_FOLDER = "last"  #: the model in its last state, in the folder of the one in its best

Start = Literal["model", "previous", "previous-last"]


@frozen(kw_only=True)
class MemberStage(StageOptions):
    """Train one member of an ensemble and judge it; a stage `members` makes several of these."""

    kind = "member"
    revision = 6
    model: str = stage_input()  #: stage whose model it starts from
    teacher: str | None = stage_input(optional=True)  #: stage whose model teaches
    previous: str | None = stage_input(optional=True)  #: the member before it, where it depends on that one
    index: int = field(default=0, validator=validators.ge(0))  #: place in the ensemble; gives it a seed of its own
    ensemble: EnsembleOptions = field()  #: what it trains on and weighs
    start: Start = "model"  #: whose weights it starts from; previous: in their best state
    keep_last: bool = False  #: its last state is written too, for a member that starts from that
    scheme: SchemeOptions | None = None  #: what is quantized where; null keeps the model's own
    distillation: DistillationOptions = field(factory=NoneOptions)  #: its phases and their losses
    train: TrainOptions = field(factory=TrainOptions)  #: how it trains
    #: digest of the ids of the train split, by which a strategy draws; filled in when the recipe is planned
    ids: str | None = None

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Check that losses suit task, ensemble and scheme, and let go of a teacher that nothing reads."""
        if self.ensemble.sequential and self.index > 0 and self.previous is None:
            raise UserError(
                f"ensemble '{self.ensemble.kind}' is sequential: member {self.index} needs the member before it"
                " as `previous`"
            )
        # how it samples is asked; what it draws is another thing with each seed
        first = first_sample_weights(
            self.ensemble, 0 if self.ensemble.sequential else self.index, task, seed=self.seed or 0
        )
        for phase in resolve_phases(self.distillation, codec):
            PhaseLoss(phase.losses, task.outputs).check_sample_weights(first)
            if self.scheme is not None:
                check_parts(phase, self.scheme.spec())
        teacher = needed_teacher(self.teacher, self.distillation, task, codec)
        return evolve(self, teacher=teacher, ids=training_data(task, seed=0).ids_digest)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """The scheme's design, or that of the model."""
        return student_composition(self.scheme, inputs)

    def plan_model(
        self, inputs: Mapping[str, tuple[PlannedModel | None, ...]], planning: Planning
    ) -> PlannedModel | None:
        """The model that it starts from; check that the teacher can teach it."""
        return plan_student((self.model, self.teacher), inputs, self.distillation, self.train, planning)

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the trained member, its logits, the verdict on it and what the next one trains on."""
        data = training_data(context.task, context.seed)
        assignment = self._assignment(inputs, context)
        if assignment is None:
            write_member_result(UNTRAINED, context.folder)
            write_metrics({**_metrics(UNTRAINED), "train/seconds": 0.0, "train/steps": 0}, context.folder)
            return
        context = evolve(context, seed=derive_seed(context.seed, "member", self.index))
        source = self._source(inputs)
        model = read_model(self._weights(source, inputs), context, self.scheme)
        teachers = inputs.many("teacher")
        teacher = read_teacher(teachers[0], context) if teachers else None
        setup = set_up_training(
            context, self.train, source.folder, teacher=teacher, round=assignment, keep_last=self.keep_last
        )
        training = train_phases(model, resolve_phases(self.distillation, context.codec), setup)
        judged = StoredMember(trained=True, verdict=self._update(model, assignment, setup, context, data))
        write_member_result(judged, context.folder)
        metrics = _metrics(judged)
        for one in teachers:
            metrics |= teacher_metrics(one, context)
        evaluate_and_save(model, source.folder, context, training=training, metrics=metrics)
        self._write_last(model, context, training)

    def _assignment(self, inputs: Inputs, context: Context) -> SampleWeights | None:
        """What it trains on; None where the member before it said that nothing can help any more."""
        if self.ensemble.sequential and inputs.many("previous"):
            return read_member_result(inputs.one("previous").folder).verdict.next
        return first_sample_weights(self.ensemble, self.index, context.task, context.seed)

    def _source(self, inputs: Inputs) -> Artifact:
        """Whose weights it starts from: a member that was discarded is no start."""
        if self.start != "model" and inputs.many("previous"):
            previous = inputs.one("previous")
            if read_member_result(previous.folder).verdict.kept:
                return previous
        return inputs.one("model")

    def _weights(self, source: Artifact, inputs: Inputs) -> Artifact:
        """The model of a source: a member in its last state, where that is told."""
        last = self.start == "previous-last" and source is not inputs.one("model")
        return evolve(source, folder=source.folder / LAST_FOLDER) if last else source

    def _update(
        self,
        model: BertClassifier,
        assignment: SampleWeights,
        setup: TrainingSetup,
        context: Context,
        data: TrainingData,
    ) -> MemberResult:
        """The verdict, by predictions of the whole train split in dataset order where the ensemble asks for them."""
        values: Floats | None = None
        if self.ensemble.needs_predictions:
            found = predict(model, setup.train, device=context.device, precision=self.train.precision)
            save_file({TRAIN: _finite(found, context)}, context.folder / TRAIN_LOGITS_FILE)
            values = found.numpy().astype(np.float64)
        verdict = self.ensemble.build(context.task.outputs).update(self.index, assignment, values, data)
        return check_member_result(verdict, len(data), f"ensemble '{self.ensemble.kind}': update({self.index}, ...)")

    def _write_last(self, model: BertClassifier, context: Context, training: Training) -> None:
        if self.keep_last:
            if training.last is not None:
                model.load_state_dict(training.last)
            save_model(model, context.folder / LAST_FOLDER, context.codec, classes=context.task.classes)


def _metrics(judged: StoredMember) -> dict[str, float]:
    verdict = judged.verdict
    error = {} if verdict.error is None else {"member/error": verdict.error}
    return {
        "member/trained": float(judged.trained),
        "member/kept": float(verdict.kept),
        "member/weight": verdict.weight,
        **error,
    }


def _finite(logits: Tensor, context: Context) -> Tensor:
    if not torch.isfinite(logits).all():
        raise TrainingDiverged(
            f"{context.stage}: the model's answers on {TRAIN} are not finite numbers; a lower learning rate may help"
        )
    return logits
