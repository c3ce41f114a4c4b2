from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import Attribute, field, frozen, validators

from bebertlab.config.document import YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.structure import structure
from bebertlab.config.yaml import parse_yaml
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.splitter import Splitter, SplitterOptions
from bebertlab.registry.registry import Failure, PluginSource, Registry


@frozen(kw_only=True)
class Binary(SchemeOptions):
    kind = "binary"
    bits: int = field(default=1, validator=validators.ge(1))
    clip: float = 2.5

    def spec(self) -> QuantSpec:
        return QuantSpec()


@frozen(kw_only=True)
class Tws(SplitterOptions):
    kind = "tws"
    scheme: SchemeOptions

    def build(self) -> Splitter:
        raise NotImplementedError


@frozen(kw_only=True)
class Range:
    low: float = 0.0
    high: float = field(default=1.0)
    steps: int = field(default=1, validator=validators.gt(0))

    @high.validator
    def _above_low(self, attribute: Attribute[float], value: float) -> None:
        if value <= self.low:
            raise ValueError(f"high {value} must be above low {self.low}")


@frozen(kw_only=True)
class Window:
    start: int
    end: int

    def __attrs_post_init__(self) -> None:
        if self.end < self.start:
            raise UserError(f"end {self.end} is before start {self.start}")


@frozen(kw_only=True)
class Everything:
    count: int = 0
    rate: float = 0.0
    flag: bool = False
    name: str = ""
    maybe: int | None = None
    mode: Literal["mean", "sum"] = "mean"
    steps: int | Literal["auto"] = "auto"
    bits: Literal[1, 2] = 1
    site: Site = Site.QUERY
    path: Path = Path()
    pair: tuple[int, str] = (0, "")
    many: tuple[int, ...] = field(default=(1,), validator=validators.min_len(1))
    row: Sequence[int] = ()
    names: frozenset[str] = frozenset()
    table: Mapping[str, float] = field(factory=dict)
    sites: Mapping[Site, int] = field(factory=dict)
    anything: Any = None
    inner: Range = field(factory=Range)
    scheme: SchemeOptions | None = None
    schemes: tuple[SchemeOptions, ...] = ()
    part: SchemeOptions | SplitterOptions | None = None


FAILURE = Failure(source=PluginSource(plugin="broken", distribution="x 1"), error="ImportError: no y")
REGISTRY = Registry(failures=(FAILURE,)).extended(
    ((SchemeOptions, Binary), (SplitterOptions, Tws)), PluginSource(plugin="test")
)


def errors(text: str, cls: type[object] = Everything) -> list[str]:
    collector = ErrorCollector()
    assert structure(parse_yaml(text, "f"), (), cls, REGISTRY, collector) is None
    return str(collector).splitlines()


def read(text: str) -> Everything:
    collector = ErrorCollector()
    value = structure(parse_yaml(text, "f"), (), Everything, REGISTRY, collector)
    assert not collector
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rate: 1", 1.0),
        ("rate: 1e-3", 0.001),
        ("maybe: null", None),
        ("maybe: 3", 3),
        ("mode: sum", "sum"),
        ("steps: auto", "auto"),
        ("steps: 4", 4),
        ("site: key", Site.KEY),
        ("path: a/b", Path("a/b")),
        ("pair: [1, x]", (1, "x")),
        ("many: [1, 2, 3]", (1, 2, 3)),
        ("row: [1]", (1,)),
        ("names: [a, b, a]", frozenset("ab")),
        ("table: {a: 1, b: 0.5}", {"a": 1.0, "b": 0.5}),
        ("sites: {key: 2}", {Site.KEY: 2}),
        ("anything: {a: [1, null]}", {"a": [1, None]}),
        ("inner: {high: 2}", Range(high=2.0)),
        ("scheme: binary", Binary()),
        ("scheme: null", None),
        ("scheme: {kind: binary, bits: 2}", Binary(bits=2)),
        ("schemes: [binary, {kind: binary, clip: 3}]", (Binary(), Binary(clip=3.0))),
    ],
)
def test_each_type_is_read_from_yaml(text: str, value: object) -> None:
    result = getattr(read(text), text.split(":")[0])
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count: 1.7", "f:1:8: count: expected an integer, got 1.7"),
        ("count: 1.0", "f:1:8: count: expected an integer, got 1.0"),
        ("count: '2'", "f:1:8: count: expected an integer, got '2'"),
        ("count: 9223372036854775808", "f:1:8: count: must be between -2**63 and 2**63 - 1, got 9223372036854775808"),
        ("count: true", "f:1:8: count: expected an integer, got true"),
        ("count:", "f:1:7: count: expected an integer, got null"),
        ("rate: '1'", "f:1:7: rate: expected a number, got '1'"),
        ("rate: true", "f:1:7: rate: expected a number, got true"),
        ("rate: .nan", "f:1:7: rate: must be finite, got nan"),
        ("rate: .inf", "f:1:7: rate: must be finite, got inf"),
        (f"rate: 1{'0' * 400}", "f:1:7: rate: must be finite, got inf"),
        ("flag: 1", "f:1:7: flag: expected true or false, got 1"),
        ("flag: yes", "f:1:7: flag: expected true or false, got 'yes'"),
        ("name: 3", "f:1:7: name: expected text, got 3"),
        ("maybe: x", "f:1:8: maybe: expected an integer or null, got 'x'"),
        ("mode: men", "f:1:7: mode: unknown value 'men'; did you mean 'mean'? (known: mean, sum)"),
        ("steps: x", "f:1:8: steps: expected an integer or one of 'auto', got 'x'"),
        ("bits: true", "f:1:7: bits: must be one of 1, 2, got true"),
        ("path: 3", "f:1:7: path: expected a path, got 3"),
        ("pair: [1]", "f:1:7: pair: expected a list of 2: an integer, text, got 1 items"),
        ("many: []", "f:1:7: many: must not be empty"),
        ("many: {}", "f:1:7: many: expected a list, each item an integer, got an empty mapping"),
        ("many: [1, x, 2]", "f:1:11: many.1: expected an integer, got 'x'"),
        ("table: [1]", "f:1:8: table: expected a mapping, each value a number, got a list"),
        ("table: {a: x}", "f:1:12: table.a: expected a number, got 'x'"),
        ("inner:", "f:1:7: inner: expected a mapping (low, high, steps), got null"),
        ("inner: {steps: 0}", "f:1:16: inner.steps: must be > 0, got 0"),
        ("inner: {low: 2, high: 1}", "f:1:23: inner.high: high 1.0 must be above low 2.0"),
        ("innr: {}", "f:1:1: innr: unknown key; did you mean 'inner'?"),
        ("scheme: 3", "f:1:9: scheme: expected a scheme, got 3"),
        ("scheme: []", "f:1:9: scheme: expected a scheme, got an empty list"),
        ("scheme: {}", "f:1:9: scheme: kind is missing; known: binary"),
        ("scheme: {kind: 3}", "f:1:9: scheme: kind: expected text, got 3; known: binary"),
        ("scheme: binry", "f:1:9: scheme: unknown scheme 'binry'; did you mean 'binary'? (known: binary)"),
        ("scheme: {bits: 1, kind: x}", "f:1:25: scheme.kind: unknown scheme 'x'; known: binary"),
        (
            "scheme: {kind: binary, bit: 1}",
            "f:1:24: scheme.bit: unknown option of scheme 'binary'; did you mean 'bits'",
        ),
        ("scheme: {kind: binary, bits: 0}", "f:1:30: scheme.bits: must be >= 1, got 0"),
    ],
)
def test_errors_have_a_position_and_name_what_is_expected(text: str, message: str) -> None:
    first, *others = errors(text)
    assert first.startswith(message)
    assert others in ([], [str(FAILURE)])


def test_an_unknown_kind_mentions_the_plugins_that_failed_once() -> None:
    assert errors("scheme: x\nschemes: [x, binary]")[-1] == "plugin 'broken' (x 1) failed: ImportError: no y"
    assert len(errors("scheme: x\nschemes: [x, binary]")) == 3


def test_errors_of_all_classes_are_reported_together() -> None:
    text = """\
count: x
inner: {low: x, steps: -1, more: 1}
scheme: {kind: binary, bits: 0, clip: x}
schemes: [{kind: binary, bits: true}, 3]
bogus: 1
"""
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in errors(text)] == [
        "f:1:8 count",
        "f:2:14 inner.low",
        "f:2:24 inner.steps",
        "f:2:28 inner.more",
        "f:3:30 scheme.bits",
        "f:3:39 scheme.clip",
        "f:4:32 schemes.0.bits",
        "f:4:39 schemes.1",
        "f:5:1 bogus",
    ]


def test_a_validator_that_needs_a_field_with_an_error_is_skipped() -> None:
    assert errors("inner: {low: x, high: 1}") == ["f:1:14: inner.low: expected a number, got 'x'"]


def test_missing_fields_and_refused_combinations_have_the_position_of_the_mapping() -> None:
    assert errors("{}", Window) == [
        "f:1:1: start is missing (an integer)",
        "f:1:1: end is missing (an integer)",
    ]
    assert errors("start: 2\nend: 1", Window) == ["f:1:1: end 1 is before start 2"]
    assert errors("", Window) == ["f:1:1: expected a mapping (start, end), got null"]


def test_an_abstract_class_accepts_only_its_subclasses() -> None:
    @frozen(kw_only=True)
    class Narrow:
        scheme: Other

    globals()["Other"] = Other
    try:
        assert errors("scheme: binary", Narrow) == ["f:1:9: scheme: scheme 'binary' cannot be used here"]
    finally:
        del globals()["Other"]


class Other(SchemeOptions):
    """Another abstract class of the same role."""


def test_overridden_values_name_their_origin() -> None:
    document = parse_yaml("count: 1", "f").set(("count",), "x", "--set count=x")
    collector = ErrorCollector()
    structure(document, (), Everything, REGISTRY, collector)
    assert str(collector) == "--set count=x: count: expected an integer, got 'x'"


def test_a_part_of_a_document_can_be_read() -> None:
    collector = ErrorCollector()
    options = structure(parse_yaml("a: {b: {kind: binary, bits: 2}}", "f"), ("a", "b"), Binary, REGISTRY, collector)
    assert options == Binary(bits=2)


def test_a_kind_of_the_wrong_class_is_refused() -> None:
    collector = ErrorCollector()
    part: type[Options] = Tws
    assert structure(YamlDocument.of("tws", "f"), (), part, REGISTRY, collector) is None
    assert str(collector) == "f: scheme is missing (a scheme)"
