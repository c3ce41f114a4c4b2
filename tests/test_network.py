"""Checking whether the hub is reachable."""

from __future__ import annotations

import pytest

from bebertlab.errors import SetupError
from bebertlab.network import reach_hub


def test_an_unreachable_hub_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nothing listens there
    with pytest.raises(SetupError, match=r"^encoder 'x': cannot reach the hub http://127\.0\.0\.1:9: "):
        reach_hub("encoder 'x'")


def test_an_invalid_endpoint_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "nowhere")
    with pytest.raises(SetupError, match="cannot reach the hub nowhere"):
        reach_hub("task")
