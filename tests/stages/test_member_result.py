from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bebertlab.interfaces.ensemble import MemberResult, SampleWeights, Sampling
from bebertlab.stages.member_result import UNTRAINED, StoredMember, read_member_result, write_member_result

WEIGHTS = np.random.default_rng(0).dirichlet(np.ones(7))


@pytest.mark.parametrize(
    "judged",
    [
        UNTRAINED,
        StoredMember(trained=True, verdict=MemberResult(weight=1.0, kept=True, error=None, next=None)),
        StoredMember(
            trained=True,
            verdict=MemberResult(
                weight=0.0,
                kept=False,
                error=0.5,
                next=SampleWeights(sampling=Sampling.REWEIGHT, weights=WEIGHTS, retries=2),
            ),
        ),
        StoredMember(
            trained=True,
            verdict=MemberResult(
                weight=1.0,
                kept=True,
                error=None,
                next=SampleWeights(sampling=Sampling.RESAMPLE, weights=WEIGHTS, draws=5),
            ),
        ),
        StoredMember(
            trained=True,
            verdict=MemberResult(
                weight=1.0, kept=True, error=None, next=SampleWeights(sampling=Sampling.SUBSET, weights=WEIGHTS)
            ),
        ),
    ],
    ids=["untrained", "last", "discarded", "fewer", "subset"],
)
def test_reads_back_what_was_written(tmp_path: Path, judged: StoredMember) -> None:
    write_member_result(judged, tmp_path)
    found = read_member_result(tmp_path)
    verdict, expected = found.verdict, judged.verdict
    assert found.trained == judged.trained
    assert (verdict.weight, verdict.kept, verdict.error) == (expected.weight, expected.kept, expected.error)
    assert (verdict.next is None) == (expected.next is None)
    if verdict.next is not None and expected.next is not None:
        assert (verdict.next.sampling, verdict.next.retries) == (expected.next.sampling, expected.next.retries)
        assert verdict.next.draws == expected.next.draws
        assert (verdict.next.weights == expected.next.weights).all()  # to the bit: they decide what is drawn
        assert verdict.next.weights.dtype == np.float64


def test_numbers_of_numpy_are_written_as_plain_ones(tmp_path: Path) -> None:
    following = SampleWeights(sampling=Sampling.RESAMPLE, weights=WEIGHTS, retries=np.int64(1), draws=np.int64(5))  # type: ignore[arg-type]
    error = np.float32(0.25)
    verdict = MemberResult(weight=np.float32(0.5), kept=error < 0.5, error=error, next=following)  # type: ignore[arg-type]
    write_member_result(StoredMember(trained=True, verdict=verdict), tmp_path)
    read = read_member_result(tmp_path).verdict
    assert (read.weight, read.kept, read.error) == (0.5, True, 0.25)
    assert read.next is not None
    assert (read.next.retries, read.next.draws) == (1, 5)
