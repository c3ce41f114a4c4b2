"""The roles that plugins fill, in one table that the registry, the hooks, `bebertlab plugin` and the docs follow.

A new role is a file with its classes in this package, an entry here, and its kit in `bebertlab.testing`.
"""

from __future__ import annotations

from attrs import field, frozen, validators

from bebertlab.interfaces.distillation import DistillationOptions
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.ensemble import EnsembleOptions, MergerOptions
from bebertlab.interfaces.importer import ImporterOptions
from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.interfaces.sampler import PointListOptions, SamplerOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.splitter import SplitterOptions
from bebertlab.interfaces.stage import StageGroupOptions, StageOptions
from bebertlab.interfaces.task import TaskOptions


@frozen(kw_only=True)
class Role:
    """A kind of part that plugins contribute through one hook."""

    hook: str  #: name of the hook that returns the options classes, e.g. "bebertlab_quantizers"
    #: the abstract classes; what the hook returns is derived from one of them
    options: tuple[type[Options], ...] = field(validator=validators.min_len(1))
    summary: str  #: one sentence
    kit: str  #: name of the function in `bebertlab.testing` that checks an implementation

    @property
    def name(self) -> str:
        """The name in messages, keys and `bebertlab plugin`, e.g. "quantizer"."""
        return self.options[0].role


#: every role, in the order of the documentation
ROLES = (
    Role(
        hook="bebertlab_quantizers",
        options=(QuantizerOptions,),
        summary="Quantizers of weights or activations.",
        kit="check_quantizer",
    ),
    Role(
        hook="bebertlab_schemes",
        options=(SchemeOptions,),
        summary="Quantization of a whole model: which quantizer at which site.",
        kit="check_scheme",
    ),
    Role(
        hook="bebertlab_splitters",
        options=(SplitterOptions,),
        summary="Transforms of a checkpoint into one of another architecture that computes the same function.",
        kit="check_splitter",
    ),
    Role(
        hook="bebertlab_losses",
        options=(LossOptions,),
        summary="Losses, with or without a teacher.",
        kit="check_loss",
    ),
    Role(
        hook="bebertlab_distillations",
        options=(DistillationOptions,),
        summary="The phases in which a student trains, each with its losses and learning rate.",
        kit="check_distillation",
    ),
    Role(
        hook="bebertlab_ensembles",
        options=(EnsembleOptions,),
        summary="Ensemble strategies: which examples each member trains on, and its weight.",
        kit="check_ensemble",
    ),
    Role(
        hook="bebertlab_mergers",
        options=(MergerOptions,),
        summary="Rules that merge the logits of the members of an ensemble.",
        kit="check_merger",
    ),
    Role(
        hook="bebertlab_tasks",
        options=(TaskOptions,),
        summary="Tasks: data, splits and metrics.",
        kit="check_task",
    ),
    Role(
        hook="bebertlab_encoders",
        options=(EncoderOptions,),
        summary="Sources of full-precision weights and their tokenizer.",
        kit="check_encoder",
    ),
    Role(
        hook="bebertlab_importers",
        options=(ImporterOptions,),
        summary="Readers of checkpoints that published code wrote.",
        kit="check_importer",
    ),
    Role(
        hook="bebertlab_stages",
        options=(StageOptions, StageGroupOptions),
        summary="Stages of a recipe, and groups of stages.",
        kit="check_stage",
    ),
    Role(
        hook="bebertlab_samplers",
        options=(SamplerOptions, PointListOptions),
        summary="Samplers: which points of a search space a study tries.",
        kit="check_sampler",
    ),
)


def role_names() -> tuple[str, ...]:
    """The names of all roles in alphabetical order."""
    return tuple(sorted(role.name for role in ROLES))


def role_of_hook(hook: str) -> Role | None:
    """The role that a hook belongs to; None for hooks of observers."""
    return next((role for role in ROLES if role.hook == hook), None)
