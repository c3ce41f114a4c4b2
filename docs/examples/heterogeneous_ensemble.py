"""A heterogeneous ensemble: members that are quantized differently, each weighted by its score on `select`.

A recipe merges them, alone or with other models:

    members: {kind: mixed, model: teacher, schemes: [null, bitnet, {kind: binarybert, weight_bits: 2}]}
    merge: {kind: merge, members: [members, teacher], rule: weighted_probability}
"""

from collections.abc import Mapping

from attrs import field, frozen, validators

from bebertlab.api import (
    SELECT,
    Codec,
    Composition,
    Context,
    Inputs,
    Member,
    MemberResult,
    NoneOptions,
    PlannedModel,
    PlannedModels,
    Planning,
    QuantSpecs,
    SchemeOptions,
    StageGroupOptions,
    StageOptions,
    TrainOptions,
    evaluate_and_save,
    hookimpl,
    read_metrics,
    read_model,
    set_up_training,
    stage_input,
    student_composition,
    train_phases,
    write_member,
)


@frozen(kw_only=True)
class MixedMember(StageOptions):
    """Train a model under a scheme on gold labels; its weight in an ensemble is its score on `select`."""

    kind = "mixed-member"
    model: str = stage_input()  #: stage whose model is trained
    scheme: SchemeOptions | None = None  #: what is quantized where; null keeps the model's own
    train: TrainOptions = field(factory=TrainOptions)  #: the `train` of the recipe gives the defaults

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        return Composition(spec=student_composition(self.scheme, inputs).spec, parts=(NoneOptions(),))

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        return inputs["model"][0]  # tokenizer and sizes stay

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the trained model, and the result that `merge` reads."""
        source = inputs.one("model")
        model = read_model(source, context, self.scheme)
        setup = set_up_training(context, self.train, source.folder)
        training = train_phases(model, NoneOptions().phases(), setup)
        evaluate_and_save(model, source.folder, context, training=training)
        weight = max(read_metrics(context.folder)[f"{SELECT}/score"], 0.0)
        result = MemberResult(weight=weight, kept=weight > 0, error=None, next=None)
        write_member(Member(result=result), context.folder)


@frozen(kw_only=True)
class MixedStage(StageGroupOptions):
    """Train one member for each scheme."""

    kind = "mixed"
    model: str = stage_input()  #: stage whose model each member starts from
    #: one for each member; null keeps the model's own
    schemes: tuple[SchemeOptions | None, ...] = field(validator=validators.min_len(1))
    train: TrainOptions = field(factory=TrainOptions)  #: how each member trains

    def expand(self, name: str) -> Mapping[str, StageOptions]:
        return {
            f"{name}.{index}": MixedMember(model=self.model, scheme=scheme, train=self.train)
            for index, scheme in enumerate(self.schemes)
        }


@hookimpl
def bebertlab_stages() -> list[type[StageOptions] | type[StageGroupOptions]]:
    return [MixedMember, MixedStage]
