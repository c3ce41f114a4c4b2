from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bebertlab.study.schedule import Candidate, choose


def waiting(**missing: str) -> list[Candidate]:
    return [Candidate(number=int(name[1:]), missing=frozenset(keys)) for name, keys in missing.items()]


def test_two_workers_take_different_trunks() -> None:
    trials = waiting(t0="axy", t1="bx", t2="ax")
    assert choose(trials, set()) == 0
    assert choose(trials[1:], {"a", "x", "y"}) == 1  # one in common instead of two


def test_the_most_to_do_goes_first_then_the_lowest_number() -> None:
    assert choose(waiting(t3="a", t4="abc", t5="bcd"), set()) == 4


def test_hands_out_a_trial_that_must_wait_rather_than_none() -> None:
    assert choose(waiting(t0="ab", t1="abc"), {"a", "b", "c"}) == 0


keys = st.sets(st.sampled_from("abcdef"))


@given(st.dictionaries(st.integers(0, 50), keys, min_size=1), keys)
def test_the_order_of_the_candidates_decides_nothing(missing: dict[int, set[str]], busy: set[str]) -> None:
    trials = [Candidate(number=number, missing=frozenset(keys)) for number, keys in missing.items()]
    assert choose(trials, busy) == choose(trials[::-1], busy)
