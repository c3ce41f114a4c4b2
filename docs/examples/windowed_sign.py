"""Binary weights with a learned scale, and a gradient whose window narrows in the course of training."""

import torch
from attrs import field, frozen, validators
from torch import Tensor, nn

from bebertlab.api import SIGNS, Codes, ParameterGroup, Quantizer, QuantizerOptions, hookimpl, sign, straight_through


class WindowedSign(Quantizer):
    alphabet = SIGNS
    row_wise = True  # a value depends on itself and the scale alone
    transferable_state = frozenset({"scale"})  # means the same whatever the window
    window: Tensor

    def __init__(self, options: "WindowedSignOptions") -> None:
        super().__init__()
        self.options = options
        self.scale = nn.Parameter(torch.tensor(options.scale))
        # a buffer moves to the device with the model; it is not saved, since every training starts at `first`
        self.register_buffer("window", torch.tensor(options.first), persistent=False)

    def encode(self, x: Tensor) -> Codes:
        return Codes(levels=sign(x).to(torch.int8), step=self.scale.to(x.dtype), alphabet=SIGNS)

    def forward(self, x: Tensor) -> Tensor:
        """The gradient reaches x where its magnitude is inside the window, and the scale everywhere."""
        inside = torch.where(x.abs() <= self.window, x, 0)
        return straight_through(sign(x.detach()), inside) * self.scale.to(x.dtype)

    def progress(self, fraction: float) -> None:
        first, last = self.options.first, self.options.last
        self.window.fill_(first * (last / first) ** fraction)

    def parameter_groups(self) -> tuple[ParameterGroup, ...]:
        return (ParameterGroup(parameters=(self.scale,), learning_rate=1e-4, weight_decay=0.0),)


@frozen(kw_only=True)
class WindowedSignOptions(QuantizerOptions):
    """Binary weights: the sign times a learned scale; the gradient is cut off outside a window around zero."""

    kind = "windowed_sign"
    applies_to = "weights"
    scale: float = field(default=0.02, validator=validators.gt(0))  #: at the start
    first: float = field(default=1.0, validator=validators.gt(0))  #: half the width of the window at the start
    last: float = field(default=0.1, validator=validators.gt(0))  #: half the width of the window at the end

    def build(self, shape: torch.Size) -> WindowedSign:
        return WindowedSign(self)


@hookimpl
def bebertlab_quantizers() -> list[type[QuantizerOptions]]:
    return [WindowedSignOptions]
