from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.store.fingerprint import canonical, file_digest, fingerprint, output_digest

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), plain, max_size=4))
def test_the_order_of_keys_does_not_change_a_digest(data: dict[str, object]) -> None:
    assert fingerprint(data) == fingerprint(dict(reversed(data.items())))


def test_the_type_of_numbers_changes_a_digest() -> None:
    assert fingerprint({"a": 1}) != fingerprint({"a": 1.0}) != fingerprint({"a": True})


def test_the_order_of_lists_changes_a_digest() -> None:
    assert fingerprint([1, 2]) != fingerprint([2, 1])


def test_data_that_are_not_plain_are_refused() -> None:
    with pytest.raises(TypeError):
        canonical({"path": Path("a")})


def test_file_digest_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc" * 100_000)
    assert file_digest(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_an_output_digest_depends_on_values_classes_and_versions() -> None:
    @frozen
    class Point:
        x: float
        folder: Path = Path("a")

    @frozen
    class Other:
        x: float
        folder: Path = Path("a")

    cases: list[tuple[list[object], list[str]]] = [
        ([Point(1.0)], []),
        ([Point(2.0)], []),
        ([Point(1.0, Path("b"))], []),
        ([Other(1.0)], []),
        ([Point(1.0), Point(1.0)], []),
        ([Point(1.0)], ["attrs"]),
        ([Point(1.0)], ["no-such-package"]),
        (["plain"], []),
    ]
    digests = {output_digest(*values, packages=packages) for values, packages in cases}
    assert len(digests) == 8
    assert output_digest(Point(1.0), packages=["attrs"]) in digests


def test_an_output_digest_depends_on_values_inside_of_values() -> None:
    @frozen
    class Inner:
        folder: Path

    @frozen
    class Outer:
        items: tuple[dict[str, Inner], ...]

    first, second, same = (output_digest(Outer(({"a": Inner(Path(x))},)), packages=()) for x in ("b", "c", "b"))
    assert first == same != second


def test_an_output_digest_refuses_values_without_a_text() -> None:
    with pytest.raises(TypeError, match="set is no plain data"):
        output_digest({"a"}, packages=())


def test_an_output_is_decided_by_the_source_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    before = output_digest("x", packages=())
    monkeypatch.setattr("bebertlab.store.fingerprint.source_digest", lambda: "other")
    assert output_digest("x", packages=()) != before
