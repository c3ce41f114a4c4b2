from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import Factory, field, frozen, validators
from torch import Size, Tensor

from bebertlab.config.describe import FieldDescription, describe, documentation, field_comments, flatten, summary
from bebertlab.interfaces.capabilities import ParameterGroup
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.quantizer import SIGNS, Codes, Quantizer, QuantizerOptions
from bebertlab.interfaces.stage import StageOptions
from bebertlab.registry.manager import load_plugins


class Sign(Quantizer):
    """The sign of w.

    Source: nobody.
    """

    alphabet = SIGNS

    def forward(self, x: Tensor) -> Tensor:
        return x.sign()

    def encode(self, x: Tensor) -> Codes:
        raise NotImplementedError

    def parameter_groups(self) -> tuple[ParameterGroup, ...]:
        return ()


@frozen(kw_only=True)
class SignOptions(QuantizerOptions):
    kind = "sign"
    #: distance of the levels,
    #: documented above the line
    step: float = field(
        default=1.0,  #: and inside
        validator=validators.gt(0),
    )
    mode: str | None = field(
        validator=validators.optional(validators.in_(("row", "all")))
    )  #: group that shares a scale
    table: Mapping[str, int] = field(factory=dict)
    silent: bool = True

    def build(self, shape: Size) -> Sign:
        return Sign()


@frozen(kw_only=True)
class Nested(QuantizerOptions):
    """A quantizer around another.

    More of it.
    """

    kind = "nested"
    inner: QuantizerOptions = field(default=SignOptions(mode="row"))
    rates: tuple[float, ...] = field(default=(0.1,), validator=validators.min_len(1))

    def build(self, shape: Size) -> Quantizer:
        return self.inner.build(shape)


def test_every_field_is_described_from_its_declaration() -> None:
    assert describe(SignOptions) == (
        FieldDescription(
            name="step",
            type="a number",
            required=False,
            default="1.0",
            rule="> 0",
            doc="distance of the levels, documented above the line and inside",
        ),
        FieldDescription(
            name="mode",
            type="text or null",
            required=True,
            default="",
            rule="one of row, all",
            doc="group that shares a scale",
        ),
        FieldDescription(
            name="table",
            type="a mapping, each value an integer",
            required=False,
            default="{}",
            rule="",
            doc="",
        ),
        FieldDescription(name="silent", type="true or false", required=False, default="true", rule="", doc=""),
    )


def test_defaults_are_shown_as_yaml() -> None:
    inner, rates = describe(Nested)
    assert inner.default == "{kind: sign, step: 1.0, mode: row, table: {}, silent: true}"
    assert (rates.default, rates.rule) == ("[0.1]", "at least 1 item")


@frozen(kw_only=True)
class Step:
    rate: float = 0.1  #: of learning
    name: Literal["a", "b"] = field(default="a", validator=validators.in_(("a", "b")))


@frozen(kw_only=True)
class Deep(Options):
    kind = "deep"
    step: Step = field(factory=Step)
    maybe: Step | None = None
    steps: tuple[Step, ...] = ()
    named: Mapping[str, Step] = field(factory=dict)
    inner: Nested | None = None


def test_options_of_nested_mappings_have_whole_paths() -> None:
    options = {path: field for path, field in flatten(describe(Deep)) if not path.endswith(".name")}
    assert {path: (field.type, field.default) for path, field in options.items()} == {
        "step": ("a mapping", "those of its options"),
        "step.rate": ("a number", "0.1"),
        "maybe": ("a mapping or null", "null"),
        "maybe.rate": ("a number", "0.1"),
        "steps": ("a list, each item a mapping", "[]"),
        "steps[].rate": ("a number", "0.1"),
        "named": ("a mapping, each value a mapping", "{}"),
        "named.*.rate": ("a number", "0.1"),
        "inner": ("a quantizer or null", "null"),
    }


def test_nested_defaults_are_those_of_the_default_mapping() -> None:
    @frozen(kw_only=True)
    class Fast:
        step: Step = field(factory=lambda: Step(rate=0.5))

    assert [(path, option.default) for path, option in flatten(describe(Fast))][1:] == [
        ("step.rate", "0.5"),
        ("step.name", "a"),
    ]


def test_a_default_that_depends_on_other_options_is_computed() -> None:
    @frozen(kw_only=True)
    class Double:
        half: int = 1
        whole: int = field(default=Factory(lambda self: 2 * self.half, takes_self=True))

    assert [option.default for option in describe(Double)] == ["1", "computed"]


def test_the_values_of_a_literal_are_not_repeated_as_a_rule() -> None:
    (_, name) = describe(Step)
    assert (name.type, name.rule) == ("one of 'a', 'b'", "")


def test_comments_of_base_classes_are_inherited() -> None:
    @frozen(kw_only=True)
    class Stage(StageOptions):
        own: int = 1  #: of this class

    assert field_comments(Stage).items() >= {
        ("own", "of this class"),
        ("seed", "instead of the recipe's seed, to share this stage among seeds"),
    }
    assert [described.name for described in describe(Stage)] == ["own", "seed"]


def test_documentation_is_that_of_the_options_and_of_what_they_build() -> None:
    assert documentation(SignOptions) == "The sign of w.\n\nSource: nobody."
    assert summary(Nested) == "A quantizer around another."


def test_every_registered_part_and_its_options_are_documented() -> None:
    entries = load_plugins().registry.all()
    assert not [entry.cls for entry in entries if not summary(entry.cls)]
    assert not [(entry.cls, field.name) for entry in entries for field in describe(entry.cls) if not field.doc]


def test_a_class_without_source_has_no_comments() -> None:
    classes: dict[str, type[Options]] = {}
    exec(
        "from attrs import frozen\nfrom bebertlab.interfaces.options import Options\n"
        "@frozen(kw_only=True)\nclass Typed(Options):\n    kind = 'typed'\n    size: int = 1  #: lost\n",
        classes,
    )
    assert [described.doc for described in describe(classes["Typed"])] == [""]
