"""How a stage trains."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from bebertlab.interfaces.stage import OMITTED_FROM_KEY_AT_DEFAULT
from bebertlab.model.precision import Precision
from bebertlab.training.schedule import Schedule

_at_least_1 = validators.ge(1)
_positive = validators.gt(0.0)
_not_negative = validators.ge(0.0)
_NORM: float | None = 1.0


@frozen(kw_only=True)
class TrainOptions:
    """How a stage trains. The `train` of a recipe gives the defaults of every option of this type, whatever its name.

    This applies to options of stages and of groups of stages, and to nested options. Values set in a stage take
    precedence, key by key. A group of stages must pass its `TrainOptions` on to its stages.

    The rate rises linearly from 0 over the first `warmup` of the steps, then it follows `schedule`.
    """

    optimizer: Literal["adamw", "bertadam"] = field(
        default="adamw", validator=validators.in_(("adamw", "bertadam"))
    )  #: bertadam: as in the papers' code, no bias correction, each parameter's gradient clipped by its own norm
    schedule: Schedule = field(
        default="linear", validator=validators.in_(("linear", "constant"))
    )  #: after the warm-up: linear decay to 0 at the last step, or the highest rate until the end
    published_schedule: bool = (
        False  #: as in the papers' code: smaller batches are not counted, warm-ups shorter than a step are kept
    )
    learning_rate: float = field(default=5e-5, validator=_positive)  #: highest rate of the weights
    epochs: int = field(default=3, validator=_at_least_1)  #: passes over the train split, in each phase
    batch_size: int = field(default=32, validator=_at_least_1)  #: examples per step
    micro_batch_size: int | None = field(
        default=None, validator=validators.optional(_at_least_1), metadata=OMITTED_FROM_KEY_AT_DEFAULT
    )  #: examples computed at a time, whose gradients add up to those of the batch; null: all, or as many as fit
    warmup: float = field(default=0.1, validator=[_not_negative, validators.lt(1.0)])  #: fraction of the steps
    weight_decay: float = field(default=0.01, validator=_not_negative)  #: of matrices; biases and norms do not decay
    gradient_norm: float | None = field(
        default=_NORM, validator=validators.optional(_positive)
    )  #: maximal norm of the gradient; null: no clipping
    quantizer_learning_rate: float = field(default=1e-4, validator=_positive)  #: of steps, clips and shifts
    quantizer_weight_decay: float = field(default=0.0, validator=_not_negative)  #: of steps, clips and shifts
    evaluations: int = field(
        default=1, validator=_at_least_1
    )  #: per epoch, on the select split; the best state is kept
    precision: Precision = field(
        default="fp32", validator=validators.in_(("fp32", "bf16"))
    )  #: of matrix products; bf16 is faster on processors and GPUs with instructions for it
    compile: bool = (
        False  #: compile each layer with torch.compile: a slow start; `bebertlab bench train` shows if it pays off
    )
    teacher_dropout: bool = False  #: the teacher's dropout is active, as in BinaryBERT's, BEBERT's and BiT's code
