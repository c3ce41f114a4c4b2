from __future__ import annotations

from collections.abc import Callable

from bebertlab.train.session import Session


def test_a_session_draws_by_its_own_seed(open_session: Callable[..., Session]) -> None:
    orders = [open_session(seed=seed).sampler.epoch("p", 0, 8).order.tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    open_session().progress(0.5, "nobody listens")
