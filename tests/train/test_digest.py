from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from bebertlab.interfaces.task import Split
from bebertlab.train.digest import content_digest


def _splits(
    texts: tuple[str, ...] = ("a", "b"), labels: tuple[float, ...] = (0, 1), *, kind: str = "int64", **more: object
) -> Mapping[str, Split]:
    pairs = more.get("pairs")
    assert pairs is None or isinstance(pairs, tuple)
    ids = tuple(f"{more.get('prefix', 'train')}-{i}" for i in range(len(texts)))
    return {"train": Split(ids=ids, texts=texts, pairs=pairs, labels=np.array(labels, dtype=kind))}


_BASE = content_digest(("no", "yes"), _splits(), "accuracy")


@pytest.mark.parametrize(
    "splits",
    [
        _splits(texts=("b", "a")),
        _splits(labels=(1, 0)),
        _splits(texts=("a\0b",), labels=(0,)),
        _splits(pairs=("a", "b")),
        _splits(kind="float32"),
        {"select": _splits()["train"]},
        {**_splits(), "select": _splits()["train"]},
    ],
)
def test_whatever_decides_a_result_changes_it(splits: Mapping[str, Split]) -> None:
    assert content_digest(("no", "yes"), splits, "accuracy") != _BASE


def test_the_order_of_the_classes_and_the_main_metric_count() -> None:
    assert content_digest(("yes", "no"), _splits(), "accuracy") != _BASE
    assert content_digest(("no", "yes"), _splits(), "matthews") != _BASE


def test_ids_the_order_of_splits_and_the_byte_order_of_labels_do_not_count() -> None:
    assert content_digest(("no", "yes"), _splits(prefix="x"), "accuracy") == _BASE
    one, other = _splits()["train"], _splits(texts=("c", "d"))["train"]
    assert content_digest((), {"train": one, "select": other}, "a") == content_digest(
        (), {"select": other, "train": one}, "a"
    )
    swapped = Split(ids=one.ids, texts=one.texts, pairs=None, labels=one.labels.astype(">i8"))
    assert content_digest((), {"train": one}, "a") == content_digest((), {"train": swapped}, "a")


def test_it_is_the_same_on_every_machine() -> None:
    assert _BASE.startswith("3b3ae74e32e053d7")
