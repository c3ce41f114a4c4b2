"""A setting in which a step takes milliseconds."""

from __future__ import annotations

import pytest

from bebertlab.bench.setting import Setting


@pytest.fixture(scope="session")
def setting() -> Setting:
    return Setting(shape="tiny", quick=True, batch_size=4)
