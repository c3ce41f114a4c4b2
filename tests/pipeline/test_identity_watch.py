from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Codec, Composition, Context, Inputs, QuantSpecs, StageOptions, stage_input
from bebertlab.pipeline.execute import StageError, execute
from bebertlab.pipeline.identity import WatchedCodec, known_parts
from bebertlab.pipeline.plan import plan
from bebertlab.pipeline.read import recipe_of
from bebertlab.registry.registry import PluginSource
from tests.pipeline.conftest import LowScheme, RoundOptions

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy


@frozen(kw_only=True)
class OpenStage(StageOptions):
    """Loads a scheme that no option names, without declaring it."""

    kind = "open"
    model: str | None = stage_input(optional=True)

    def run(self, inputs: Inputs, context: Context) -> None:
        context.codec.load({"kind": "low"}, SchemeOptions)  # type: ignore[type-abstract]
        context.codec.dump(RoundOptions())


@frozen(kw_only=True)
class DeclaringStage(OpenStage):
    """The same, and it declares the scheme."""

    kind = "saying"

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition | None:
        return Composition(parts=(LowScheme(),))


@frozen(kw_only=True)
class WrongStage(OpenStage):
    """The same, and it declares another scheme."""

    kind = "wrong"

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition | None:
        return Composition(parts=(RoundOptions(),))


@pytest.mark.parametrize(
    ("stages", "is_right"),
    [
        ("last: open", True),
        ("last: saying", True),
        ("last: wrong", False),
        ("first: saying\n  last: {kind: wrong, model: first}", True),  # the parts of its inputs are in its key
        ("first: open\n  last: {kind: wrong, model: first}", True),
        ("first: make\n  last: {kind: wrong, model: first}", False),
        ("other: saying\n  last: wrong\nresult: last", False),
    ],
)
def test_a_stage_cannot_use_a_part_outside_its_key(toy: Toy, stages: str, is_right: bool) -> None:
    pairs: tuple[tuple[type[Options], type[Options]], ...] = tuple(
        (StageOptions, stage) for stage in (OpenStage, DeclaringStage, WrongStage)
    )
    codec = OptionsCodec(toy.registry.extended(pairs, PluginSource(plugin="open", distribution="open 1")))
    recipe = recipe_of(toy.document(f"task: toy\nencoder: toy\nstages:\n  {stages}\n"), codec)
    planned = plan(recipe, toy.materials, codec)
    if is_right:
        execute(planned, toy.store, codec)
        return
    with pytest.raises(
        StageError, match=r"stage last \(wrong\): it uses scheme 'low', which is not in its key.*composit"
    ):
        execute(planned, toy.store, codec)
    assert toy.store.get(planned.nodes["last"].key) is None


def test_nested_parts_are_watched(toy: Toy) -> None:
    known = known_parts([{"made_of": {}, "stage": {"role": "scheme", "kind": "low", "revision": 1}}])
    with pytest.raises(UserError, match="it uses quantizer 'round'"):
        WatchedCodec(toy.codec, known).dump({"schemes": [LowScheme()]})
    with pytest.raises(UserError, match="it uses quantizer 'round'"):
        WatchedCodec(toy.codec, known).plugin_of(RoundOptions())
    assert WatchedCodec(toy.codec, None).plugin_of(LowScheme()) == toy.codec.plugin_of(LowScheme())
    assert WatchedCodec(toy.codec, known).load([1, 2], list[int]) == [1, 2]
    assert WatchedCodec(toy.codec, None).load("round", QuantizerOptions) == RoundOptions()  # type: ignore[type-abstract]
