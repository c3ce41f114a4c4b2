from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from bebertlab.recipe.read import recipe_of

if TYPE_CHECKING:
    from tests.recipe.conftest import Toy


def counted(cls: type[Any], name: str, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    inner: Callable[..., Any] = getattr(cls, name)

    def count(self: object) -> object:
        calls.append(name)
        return inner(self)

    monkeypatch.setattr(cls, name, count)


def test_each_task_is_loaded_and_each_encoder_hashed_once(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(toy.document(), toy.codec)
    calls: list[str] = []
    counted(type(recipe.task), "load", calls, monkeypatch)
    counted(type(recipe.encoder), "digest", calls, monkeypatch)
    again = recipe_of(toy.document(), toy.codec)
    assert toy.materials.task(recipe.task) is toy.materials.task(again.task)
    assert toy.materials.encoder_digest(recipe.encoder) == toy.materials.encoder_digest(again.encoder)
    assert calls == ["load", "digest"]


def test_other_options_are_another_task(toy: Toy) -> None:
    small, large = (
        recipe_of(toy.document(toy.text.replace("task: {kind: toy}", f"task: {{kind: toy, size: {size}}}")), toy.codec)
        for size in (2, 3)
    )
    assert len(toy.materials.task(small.task).splits["train"]) == 2
    assert len(toy.materials.task(large.task).splits["train"]) == 3
