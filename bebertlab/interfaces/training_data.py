"""What an ensemble's strategy knows of the examples that its members train on."""

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

    All members of an ensemble are given the same seed, other seeds of a study give others: a strategy that draws for
    each member adds the member's index.
    """

    ids: tuple[str, ...]  #: (N,) unique
    labels: Labels = field(converter=_read_only)  #: (N,) int64 classes, or float32 for regression; read-only
    seed: int  #: the recipe's, or the `seed` of the stage

    def __attrs_post_init__(self) -> None:
        if len(self.ids) != len(self.labels):
            raise ValueError(f"there are {len(self.ids)} ids and {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.ids)

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        # numpy would take it for an unknown object, which is equal to no label
        raise TypeError("TrainingData is not an array; its labels are `data.labels`")

    @property
    def ids_digest(self) -> str:
        """The sha256 of the ids in their order: what is drawn depends on them."""
        return hashlib.sha256(_hashes(self.ids).tobytes()).hexdigest()

    def uniform(self, *words: str | int) -> NDArray[np.float64]:
        """(N,) numbers in [0, 1), one for each example; they depend on the seed, the words and the example's id only.

        So they are the same wherever the example stands and whatever other examples there are; other words or another
        seed give unrelated numbers.

        >>> data = TrainingData(ids=("a", "b"), labels=np.array([0, 1]), seed=0)
        >>> data.uniform("share", 1).round(4).tolist()
        [0.8318, 0.1635]
        """
        keys = np.frombuffer(hashlib.sha256(json.dumps([self.seed, *words]).encode()).digest()[:16], dtype="<u8")
        bits = _mixed(_mixed(_hashes(self.ids) ^ keys[0]) ^ keys[1])
        uniform: NDArray[np.float64] = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return uniform


@lru_cache(maxsize=2)
def _hashes(ids: tuple[str, ...]) -> NDArray[np.uint64]:
    """64 bits of each id; kept, since every member of every trial in a process asks for those of one train split."""
    digests = [hashlib.blake2b(one.encode("utf-8", "surrogatepass"), digest_size=8).digest() for one in ids]
    return np.frombuffer(b"".join(digests), dtype="<u8")


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The bits such that each depends on all others (the finalizer of SplitMix64, Steele et al. 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
