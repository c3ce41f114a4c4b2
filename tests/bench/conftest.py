from __future__ import annotations

import pytest

from bebertlab.bench.models import BenchConfig


@pytest.fixture(scope="session")
def config() -> BenchConfig:
    """A configuration whose training steps take milliseconds."""
    return BenchConfig(shape="tiny", quick=True, batch_size=4)
