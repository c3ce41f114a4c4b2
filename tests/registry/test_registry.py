from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import frozen
from torch import Size

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.quantizer import Quantizer, QuantizerOptions
from bebertlab.interfaces.roles import ROLES
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.registry.registry import Failure, PluginSource, Registry, check_options

if TYPE_CHECKING:
    from decimal import Decimal

_ROLES = {role.name: role.options for role in ROLES}
MINE = PluginSource(plugin="mine", distribution="mine 1.0")
THEIRS = PluginSource(plugin="theirs", distribution="theirs 2.0")


@frozen(kw_only=True)
class Twn(QuantizerOptions):
    kind = "twn"

    def build(self, shape: Size) -> Quantizer:
        raise NotImplementedError


@frozen(kw_only=True)
class OtherTwn(QuantizerOptions):
    kind = "twn"

    def build(self, shape: Size) -> Quantizer:
        raise NotImplementedError


@frozen(kw_only=True)
class Scheme(SchemeOptions):
    kind = "twn"  # the same kind in another role is no clash

    def spec(self) -> QuantSpec:
        return QuantSpec()


class Undecorated(Twn):
    kind = "undecorated"
    bits: int = 2


@frozen(kw_only=True)
class Loud(Scheme):
    kind = "Loud Kind"


@frozen(kw_only=True)
class Kindless(SchemeOptions):
    def spec(self) -> QuantSpec:
        return QuantSpec()


@frozen(kw_only=True)
class Unfinished(SchemeOptions):
    kind = "unfinished"


@frozen(kw_only=True)
class Unresolved(Scheme):
    kind = "unresolved"
    price: Decimal


@frozen(kw_only=True)
class KindField(Scheme):
    kind: str = "field"  # type: ignore[misc]


def registry(*classes: type[Options], source: PluginSource = MINE) -> Registry:
    return Registry().extended([(_ROLES[cls.role], cls) for cls in classes], source)


def test_the_class_and_plugin_of_a_kind_are_returned() -> None:
    extended = registry(Twn, Scheme)
    assert extended.find("quantizer", "twn") is Twn
    assert extended.find("scheme", "twn") is Scheme
    assert extended.entry(Twn).source is MINE
    assert [(entry.role, entry.kind, entry.plugin) for entry in extended.all()] == [
        ("quantizer", "twn", "mine"),
        ("scheme", "twn", "mine"),
    ]


def test_extending_leaves_the_original_registry_unchanged() -> None:
    empty = Registry()
    empty.extended([(_ROLES["quantizer"], Twn)], MINE)
    assert empty.kinds("quantizer") == ()


def test_a_taken_kind_names_both_plugins_and_classes() -> None:
    with pytest.raises(UserError) as caught:
        registry(Twn).extended([(_ROLES["quantizer"], OtherTwn)], THEIRS)
    for word in ("quantizer 'twn'", "OtherTwn", "plugin 'mine' (mine 1.0)", "test_registry.Twn"):
        assert word in str(caught.value)


def test_an_unknown_kind_suggests_and_mentions_failed_plugins() -> None:
    failed = Registry(entries=registry(Twn).entries, failures=(Failure(source=THEIRS, error="ImportError: no x"),))
    with pytest.raises(UserError, match="did you mean 'twn'") as caught:
        failed.find("quantizer", "twm")
    assert "plugin 'theirs' (theirs 2.0) failed: ImportError: no x" in str(caught.value)


def test_an_unregistered_class_is_refused_even_if_its_kind_is_taken() -> None:
    with pytest.raises(UserError, match="OtherTwn is not registered"):
        registry(Twn).entry(OtherTwn)


@pytest.mark.parametrize("contributed", [Scheme, Twn(), "twn", None])
def test_classes_of_other_roles_are_refused(contributed: object) -> None:
    with pytest.raises(UserError, match="is not a subclass of QuantizerOptions"):
        Registry().extended([(_ROLES["quantizer"], contributed)], MINE)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Undecorated, r"Undecorated is not an attrs class; decorate it with @frozen"),
        (Loud, r"kind 'Loud Kind' of .*Loud may have lower-case letters"),
        (Kindless, r"Kindless has no kind"),
        (Unfinished, r"Unfinished does not implement spec"),
        (Unresolved, r"annotation of .*Unresolved cannot be resolved: name 'Decimal' .* outside TYPE_CHECKING"),
        (KindField, r"kind of .*KindField is a field"),
    ],
)
def test_a_class_that_yaml_cannot_create_is_refused_by_name(cls: type[Options], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_options(cls)
