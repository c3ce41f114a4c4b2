"""The members of an ensemble, as stages that know nothing of how many they are."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen, validators

from bebertlab.errors import UserError
from bebertlab.interfaces.distillation import DistillationOptions
from bebertlab.interfaces.ensemble import EnsembleOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import StageGroupOptions, StageOptions, stage_input
from bebertlab.stages.member import MemberStage, Start
from bebertlab.stages.none import NoneOptions
from bebertlab.training.options import TrainOptions


@frozen(kw_only=True)
class MembersStage(StageGroupOptions):
    """Train the members of an ensemble; a larger ensemble has the members of a smaller one, and more.

    Members that are quantized differently are listed by their `schemes`, the first one for the first member.
    """

    kind = "members"
    model: str = stage_input()  #: stage whose model members start from
    teacher: str | None = stage_input(optional=True)  #: stage whose model teaches; not needed by every distillation
    ensemble: EnsembleOptions = field()  #: what each member trains on and weighs
    #: number of members; null: one for each of `schemes`; without them 2, or 1 for `single`
    size: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    start: Start = "model"  #: where later members start: afresh, or from their forerunner's best or last state
    scheme: SchemeOptions | None = None  #: what is quantized where; null keeps the model's own
    schemes: tuple[SchemeOptions, ...] | None = field(
        default=None, validator=validators.optional(validators.min_len(1))
    )  #: instead of `scheme`, one for each member
    distillation: DistillationOptions = field(factory=NoneOptions)  #: the phases of each member and their losses
    train: TrainOptions = field(factory=TrainOptions)  #: how each member trains
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
        """One stage for each member, `name.0` and on.

        Raises:
            UserError: the ensemble is a single model, and several are asked for.
        """
        size = self.size or len(self.schemes or ()) or (1 if self.ensemble.single else 2)
        if self.ensemble.single and size != 1:
            asked = f"schemes has {size}; list one scheme" if self.schemes else f"size is {size}; set size to 1"
            raise UserError(
                f"ensemble '{self.ensemble.kind}' has exactly one member, and {asked}, or take an ensemble of several"
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
