"""The training examples as seen by an ensemble strategy."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import NoReturn

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from bebertlab.interfaces.task import Labels


def _read_only(labels: Labels) -> Labels:
    view = labels.view()
    view.setflags(write=False)
    return view


@frozen(kw_only=True, eq=False)
class TrainingData:
    """The train split in dataset order, and the seed of the ensemble.

    All members of an ensemble get the same seed, which differs between the seeds of a study; for random choices that
    differ between members, pass the member's index to `uniform`.
    """

    ids: tuple[str, ...]  #: (N,) unique
    labels: Labels = field(converter=_read_only)  #: (N,) int64 classes, or float32 for regression; read-only
    seed: int  #: the recipe's, or the `seed` of the stage

    def __attrs_post_init__(self) -> None:
        if len(self.ids) != len(self.labels):
            raise ValueError(f"expected as many labels as ids, got {len(self.ids)} ids and {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.ids)

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        # numpy would treat it as an unknown object, which is not equal to any label
        raise TypeError("TrainingData is not an array; its labels are `data.labels`")

    @property
    def ids_digest(self) -> str:
        """The sha256 of the ids in order; random choices depend on them."""
        return hashlib.sha256(_hashes(self.ids).tobytes()).hexdigest()

    def uniform(self, *stream: str | int) -> NDArray[np.float64]:
        """(N,) numbers in [0, 1), one for each example; they depend only on the seed, `stream` and the example's id.

        They do not depend on the position of the example or on other examples; another `stream` or seed gives
        independent numbers.

        >>> data = TrainingData(ids=("a", "b"), labels=np.array([0, 1]), seed=0)
        >>> data.uniform("share", 1).round(4).tolist()
        [0.8318, 0.1635]
        """
        keys = np.frombuffer(hashlib.sha256(json.dumps([self.seed, *stream]).encode()).digest()[:16], dtype="<u8")
        bits = _mixed(_mixed(_hashes(self.ids) ^ keys[0]) ^ keys[1])
        uniform: NDArray[np.float64] = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return uniform


@lru_cache(maxsize=2)
def _hashes(ids: tuple[str, ...]) -> NDArray[np.uint64]:
    """64 bits of each id; cached, since every member of every trial in a process uses the same train split."""
    digests = [hashlib.blake2b(example.encode("utf-8", "surrogatepass"), digest_size=8).digest() for example in ids]
    return np.frombuffer(b"".join(digests), dtype="<u8")


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The bits such that each depends on all others (the finalizer of SplitMix64, Steele et al. 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
