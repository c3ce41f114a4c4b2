"""Stages that train the members of an ensemble: a member, and the group of all members."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import numpy as np
from attrs import evolve, field, frozen, validators
from safetensors.torch import save_file

from bebertlab.api import (
    TRAIN,
    TRAIN_SECONDS,
    TRAIN_STEPS,
    UNTRAINED,
    Artifact,
    BertClassifier,
    Codec,
    Composition,
    Context,
    DistillationOptions,
    EnsembleOptions,
    Floats,
    Inputs,
    Member,
    MemberResult,
    NoneOptions,
    PlannedModel,
    PlannedModels,
    Planning,
    QuantSpecs,
    SampleWeights,
    SchemeOptions,
    StageGroupOptions,
    StageOptions,
    Task,
    Training,
    TrainingSetup,
    TrainOptions,
    UserError,
    check_finite_logits,
    derive_seed,
    evaluate_and_save,
    first_sample_weights,
    plan_student,
    predict,
    prepare_student,
    read_member,
    read_model,
    read_teacher,
    resolve_phases,
    save_model,
    set_up_training,
    stage_input,
    student_composition,
    teacher_metrics,
    train_phases,
    training_data,
    update_ensemble,
    write_member,
    write_metrics,
)

TRAIN_LOGITS_FILE = "train_logits.safetensors"
LAST_FOLDER = "last"  #: the model in its last state, in the folder of the model in its best state

Start = Literal["model", "previous", "previous-last"]


@frozen(kw_only=True)
class MemberStage(StageOptions):
    """Train a member of an ensemble and compute its result; the group `members` expands to several of these."""

    kind = "member"
    revision = 8
    model: str = stage_input()  #: stage whose model it starts from
    teacher: str | None = stage_input(optional=True)  #: stage whose model teaches
    previous: str | None = stage_input(optional=True)  #: the previous member, if it depends on that
    index: int = field(default=0, validator=validators.ge(0))  #: position in the ensemble; its seed depends on it
    ensemble: EnsembleOptions = field()  #: strategy that determines its sample weights and its weight
    start: Start = "model"  #: model that it starts from; previous: the previous member in its best state
    keep_last: bool = False  #: its last state is written too, for a member that starts from it
    scheme: SchemeOptions | None = None  #: what is quantized where; null keeps the model's own
    distillation: DistillationOptions = field(factory=NoneOptions)  #: its phases and their losses
    train: TrainOptions = field(factory=TrainOptions)  #: training options
    #: digest of the ids of the train split, which a strategy draws by; filled in when the recipe is planned
    ids: str | None = None

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Check that losses suit task, ensemble and scheme, and remove a teacher that no loss reads."""
        if self.ensemble.sequential and self.index > 0 and self.previous is None:
            raise UserError(
                f"ensemble '{self.ensemble.kind}' is sequential: member {self.index} needs the previous member"
                " as `previous`"
            )
        # only the kind of sampling matters here; what is drawn differs with each seed
        index = 0 if self.ensemble.sequential else self.index
        teacher = prepare_student(
            self.distillation,
            task,
            codec,
            teacher=self.teacher,
            scheme=self.scheme,
            sample_weights=first_sample_weights(self.ensemble, index, task, self.seed or 0),
        )
        return evolve(self, teacher=teacher, ids=training_data(task, seed=0).ids_digest)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """The spec of the scheme, or that of the model."""
        return student_composition(self.scheme, inputs)

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        """The model that it starts from; checks that the teacher can teach it."""
        return plan_student(
            inputs,
            planning,
            model=self.model,
            teacher=self.teacher,
            distillation=self.distillation,
            train=self.train,
        )

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the trained member, its logits, its result and the sample weights of the next member."""
        sample_weights = self._sample_weights(inputs, context)
        if sample_weights is None:
            write_member(UNTRAINED, context.folder)
            write_metrics({**UNTRAINED.metrics(), TRAIN_SECONDS: 0.0, TRAIN_STEPS: 0}, context.folder)
            return
        member_context = evolve(context, seed=derive_seed(context.seed, "member", self.index))
        source, teaching = self._source(inputs), inputs.optional("teacher")
        model, teacher = (
            read_model(self._weights(source, inputs), member_context, self.scheme),
            read_teacher(teaching, member_context),
        )
        setup = set_up_training(
            member_context,
            self.train,
            source.folder,
            teacher=teacher,
            sample_weights=sample_weights,
            keep_last=self.keep_last,
        )
        training = train_phases(model, resolve_phases(self.distillation, context.codec), setup)
        member = Member(result=self._result(model, sample_weights, setup, context))
        write_member(member, context.folder)
        metrics = {**member.metrics(), **teacher_metrics(teaching, member_context)}
        evaluate_and_save(model, source.folder, member_context, training=training, metrics=metrics)
        self._write_last(model, context, training)

    def _sample_weights(self, inputs: Inputs, context: Context) -> SampleWeights | None:
        """The sample weights; None if the previous member ended the ensemble."""
        previous = inputs.optional("previous")
        if self.ensemble.sequential and previous is not None:
            return read_member(previous).result.next
        return first_sample_weights(self.ensemble, self.index, context.task, context.seed)

    def _source(self, inputs: Inputs) -> Artifact:
        """The model that it starts from; never a member that was discarded."""
        previous = inputs.optional("previous")
        if self.start != "model" and previous is not None and read_member(previous).result.kept:
            return previous
        return inputs.one("model")

    def _weights(self, source: Artifact, inputs: Inputs) -> Artifact:
        """The source, or the last state of the previous member if configured."""
        last = self.start == "previous-last" and source is not inputs.one("model")
        return evolve(source, folder=source.folder / LAST_FOLDER) if last else source

    def _result(
        self, model: BertClassifier, sample_weights: SampleWeights, setup: TrainingSetup, context: Context
    ) -> MemberResult:
        """Its result, from its logits on the whole train split in dataset order if the ensemble needs them."""
        values: Floats | None = None
        if self.ensemble.needs_predictions:
            logits = predict(model, setup.train, device=context.device, precision=self.train.precision)
            save_file({TRAIN: check_finite_logits(logits, TRAIN, context)}, context.folder / TRAIN_LOGITS_FILE)
            values = logits.numpy().astype(np.float64)
        return update_ensemble(self.ensemble, self.index, sample_weights, values, context.task, context.seed)

    def _write_last(self, model: BertClassifier, context: Context, training: Training) -> None:
        if self.keep_last:
            if training.last is not None:
                model.load_state_dict(training.last)
            folder: Path = context.folder / LAST_FOLDER
            save_model(model, folder, context.codec, classes=context.task.classes)


@frozen(kw_only=True)
class MembersStage(StageGroupOptions):
    """Train the members of an ensemble; a larger ensemble contains the members of a smaller one.

    Members that are quantized differently are listed by their `schemes`, the first scheme for the first member.
    """

    kind = "members"
    model: str = stage_input()  #: stage whose model members start from
    teacher: str | None = stage_input(optional=True)  #: stage whose model teaches; not needed by every distillation
    ensemble: EnsembleOptions = field()  #: strategy that determines the sample weights and the weight of each member
    #: number of members; null: one for each of `schemes`; without them 2, or 1 for `single`
    size: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    start: Start = "model"  #: where later members start: from `model`, or from the previous member's best or last state
    scheme: SchemeOptions | None = None  #: what is quantized where; null keeps the model's own
    schemes: tuple[SchemeOptions, ...] | None = field(
        default=None, validator=validators.optional(validators.min_len(1))
    )  #: instead of `scheme`, one for each member
    distillation: DistillationOptions = field(factory=NoneOptions)  #: the phases of each member and their losses
    train: TrainOptions = field(factory=TrainOptions)  #: training options of each member
    seed: int | None = None  #: instead of the recipe's seed

    def __attrs_post_init__(self) -> None:
        if self.schemes is None:
            return
        if self.scheme is not None:
            raise ValueError("has both scheme and schemes; scheme is for all members, schemes has one for each")
        if self.size not in (None, len(self.schemes)):
            raise ValueError(
                f"size is {self.size}, and schemes has {len(self.schemes)}; leave size out, or list one scheme for each"
            )

    def expand(self, name: str) -> Mapping[str, StageOptions]:
        """A stage for each member, `name.0` and so on.

        Raises:
            UserError: the ensemble has exactly one member, and `size` or `schemes` asks for several.
        """
        size = self.size or len(self.schemes or ()) or (1 if self.ensemble.single else 2)
        if self.ensemble.single and size != 1:
            asked = f"schemes has {size}; list one scheme" if self.schemes else f"size is {size}; set size to 1"
            raise UserError(
                f"ensemble '{self.ensemble.kind}' has exactly one member, and {asked}, or use an ensemble of several"
            )
        return {f"{name}.{index}": self._member(name, index) for index in range(size)}

    def _member(self, name: str, index: int) -> MemberStage:
        follows = index > 0 and (self.ensemble.sequential or self.start != "model")
        return MemberStage(
            model=self.model,
            teacher=self.teacher,
            previous=f"{name}.{index - 1}" if follows else None,
            index=index,
            ensemble=self.ensemble,
            start=self.start if follows else "model",
            keep_last=self.start == "previous-last" and not self.ensemble.single,
            scheme=self.schemes[index] if self.schemes else self.scheme,
            distillation=self.distillation,
            train=self.train,
            seed=self.seed,
        )
