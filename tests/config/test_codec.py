from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import pytest
from attrs import field, frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.yaml import parse_yaml
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import EXCLUDED_FROM_KEY
from bebertlab.registry.manager import load_plugins
from bebertlab.registry.registry import PluginSource, Registry


@frozen(kw_only=True)
class Inner(SchemeOptions):
    kind = "inner"
    revision = 3
    bits: int = 1

    def spec(self) -> QuantSpec:
        return QuantSpec()


@frozen(kw_only=True)
class Outer(SchemeOptions):
    kind = "outer"
    inner: SchemeOptions = field(factory=Inner)
    by_site: Mapping[Site, int] = field(factory=dict)
    path: Path | None = None
    names: frozenset[str] = frozenset()

    def spec(self) -> QuantSpec:
        return QuantSpec()


MINE = PluginSource(plugin="mine.py", file=Path("mine.py"), fingerprint="f00d")
CODEC = OptionsCodec(
    Registry()
    .extended(((SchemeOptions, Outer),), PluginSource(plugin="test", distribution="test 1"))
    .extended(((SchemeOptions, Inner),), MINE)
)


def test_dump_includes_defaults_and_kinds() -> None:
    value = Outer(by_site={Site.KEY: 2}, path=Path("a/b"), names=frozenset("ba"))
    plain = {
        "kind": "outer",
        "inner": {"kind": "inner", "bits": 1},
        "by_site": {"key": 2},
        "path": "a/b",
        "names": ["a", "b"],
    }
    assert CODEC.dump(value) == plain
    assert json.loads(json.dumps(plain)) == plain
    assert CODEC.load(plain, Outer) == value


def test_identity_includes_revision_and_file_of_every_part() -> None:
    identity = CODEC.dump_identity([Outer()])
    assert identity[0]["revision"] == 1
    assert "file" not in identity[0]
    assert identity[0]["options"]["inner"] == {
        "role": "scheme",
        "kind": "inner",
        "revision": 3,
        "file": "f00d",
        "options": {"bits": 1},
    }


def test_an_unregistered_part_has_no_identity() -> None:
    with pytest.raises(UserError, match="Inner is not registered"):
        OptionsCodec(Registry()).dump_identity(Inner())


def test_load_reports_all_errors_without_positions() -> None:
    with pytest.raises(UserError) as caught:
        CODEC.load({"kind": "outer", "inner": {"kind": "inner", "bits": "x"}, "more": 1}, Outer)
    assert {line.split(":")[0] for line in str(caught.value).splitlines()} == {"inner.bits", "more"}


def test_read_reports_errors_with_positions() -> None:
    with pytest.raises(UserError, match=r"^f:1:22: inner: unknown scheme 'x'"):
        CODEC.read(parse_yaml("{kind: outer, inner: x}", "f"), Outer)


def test_structure_collects_errors() -> None:
    errors = ErrorCollector()
    assert CODEC.structure(parse_yaml("a: {bits: x}", "f"), ("a",), Inner, errors) is None
    assert len(errors) == 1


def test_values_that_are_not_plain_are_refused() -> None:
    with pytest.raises(TypeError, match="cannot convert"):
        CODEC.dump({"a": object()})


@pytest.fixture(scope="module")
def registered() -> Registry:
    return load_plugins().registry


def test_every_registered_part_can_be_dumped_and_loaded(registered: Registry) -> None:
    codec = OptionsCodec(registered)
    assert registered.all()
    for entry in registered.all():
        value = sample(entry.cls, registered)
        plain = codec.dump(value)
        assert plain["kind"] == entry.kind
        assert codec.load(json.loads(json.dumps(plain)), entry.cls) == value, entry
        assert codec.dump_identity(value)["revision"] == entry.cls.revision


#: required options that take a few names only, by kind
_NAMES = {"optuna": {"name": "TPESampler"}}
_PLAIN = {str: "x", int: 1, float: 1.0, bool: True, Path: Path("x"), tuple: (), Mapping: {}, type(None): None}


def sample(cls: type[Options], registry: Registry) -> Options:
    """An instance with its defaults, and valid values for required options."""
    required = {
        a.alias: a.type for a in attrs.fields(attrs.resolve_types(cls)) if a.default is attrs.NOTHING and a.init
    }
    return cls(**{name: _filled(of, registry) for name, of in required.items()} | _NAMES.get(cls.kind, {}))


def _filled(of: Any, registry: Registry) -> Any:  # noqa: ANN401 - any annotation
    if isinstance(of, type) and issubclass(of, Options):
        return sample(registry.find(of.role, registry.kinds(of.role)[0]), registry)
    if get_origin(of) in (Literal, Union, UnionType):
        return get_args(of)[0] if get_origin(of) is Literal else _filled(get_args(of)[0], registry)
    return next(iter(of)) if isinstance(of, type) and issubclass(of, Enum) else _PLAIN[get_origin(of) or of]


@frozen(kw_only=True)
class WithPath(SchemeOptions):
    kind = "placed"
    folder: Path = field(metadata=EXCLUDED_FROM_KEY)
    words: Path | None = None

    def spec(self) -> QuantSpec:
        return QuantSpec()


def test_identity_depends_on_the_content_of_files_and_not_on_their_paths(tmp_path: Path) -> None:
    codec = OptionsCodec(Registry().extended(((SchemeOptions, WithPath),), MINE))
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).write_text(text)
    first, second, third = (
        codec.dump_identity(WithPath(folder=Path(name), words=tmp_path / name))["options"] for name in "abc"
    )
    assert first == second != third
    assert first["folder"] is None
    missing = codec.dump_identity(WithPath(folder=Path(), words=Path("not/there")))["options"]["words"]
    assert missing == "not/there"
    assert codec.dump(WithPath(folder=Path("x/y"), words=Path("z"))) == {
        "kind": "placed",
        "folder": "x/y",
        "words": "z",
    }
