"""The hub, which the tests never reach."""

from __future__ import annotations

import pytest

from bebertlab.api import SetupError
from bebertlab_glue.catalogue import CATALOGUE
from bebertlab_glue.folder import Reading
from bebertlab_glue.hub import read_hub


def test_an_unreachable_hub_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SetupError, match=r"nyu-mll/glue/rte: cannot reach the hub http://127.0.0.1:9"):
        read_hub("rte", Reading(entry=CATALOGUE["rte"]), {"train": "train"}, download=True)
    assert datasets.config.HF_HUB_OFFLINE is False


def test_without_download_only_the_cache_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SetupError, match="nyu-mll/glue/rte: not in the local cache"):
        read_hub("rte", Reading(entry=CATALOGUE["rte"]), {"train": "train"}, download=False)
