from __future__ import annotations

import pytest
from attrs import frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.interfaces.distillation import DistillationOptions, Phase, resolve_phases
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.registry.registry import PluginSource, Registry


@frozen(kw_only=True)
class Labels(LossOptions):
    kind = "labels"
    weight: float = 1.0

    def build(self, classes: int) -> Loss:
        raise NotImplementedError


@frozen(kw_only=True)
class Plan(DistillationOptions):
    kind = "plan"
    name: str = "labels"

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(name="one", losses=(Labels(weight=2.0),), named_losses=(self.name,), epochs=3), Phase(name="two"))


@frozen
class Fixed(DistillationOptions):
    kind = "fixed"
    phase: Phase

    def phases(self) -> tuple[Phase, ...]:
        return (self.phase,)


CODEC = OptionsCodec(Registry().extended(((LossOptions, Labels),), PluginSource(plugin="test")))


def test_named_losses_follow_the_built_in_ones() -> None:
    item, two = resolve_phases(Plan(), CODEC)
    assert item == Phase(name="one", losses=(Labels(weight=2.0), Labels()), epochs=3)
    assert two == Phase(name="two")


def test_a_named_loss_may_carry_options() -> None:
    phase = Phase(name="one", named_losses=({"kind": "labels", "weight": 0.5}, "labels"))
    assert resolve_phases(Fixed(phase), CODEC)[0].losses == (Labels(weight=0.5), Labels())
    with pytest.raises(UserError, match="unknown option of loss 'labels'; did you mean 'weight'"):
        resolve_phases(Fixed(Phase(name="one", named_losses=({"kind": "labels", "weigth": 0.5},))), CODEC)


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(UserError, match="unknown loss 'label'; did you mean 'labels'"):
        resolve_phases(Plan(name="label"), CODEC)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "learning_rate", "learning_rate_factor"])
def test_a_phase_without_losses_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Phase(name="empty", **{name: 0})  # type: ignore[arg-type]


def test_a_phase_trains_the_whole_model_by_default() -> None:
    assert Phase(name="p").subnets == ((1.0, 1.0),)


def test_sub_networks_are_all_pairs_of_width_and_depth_largest_first() -> None:
    parts = Phase(name="p", widths=(0.25, 1.0, 0.5), depths=(0.5, 0.75)).subnets
    assert parts == ((1.0, 0.75), (0.5, 0.75), (0.25, 0.75), (1.0, 0.5), (0.5, 0.5), (0.25, 0.5))


@pytest.mark.parametrize("name", ["widths", "depths"])
@pytest.mark.parametrize("parts", [(), (0.5, 0.5), (0.0,), (1.5,), (float("nan"),)])
def test_invalid_sub_networks_are_refused(name: str, parts: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=name):
        Phase(name="p", **{name: parts})  # type: ignore[arg-type]
