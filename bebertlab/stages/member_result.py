"""What a member was found worth, as files beside its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from safetensors.torch import load_file, save_file

from bebertlab.interfaces.ensemble import MemberResult, SampleWeights, Sampling

MEMBER_RESULT_FILE = "verdict.json"
SAMPLE_WEIGHTS_FILE = "round.safetensors"


@frozen(kw_only=True, eq=False)
class StoredMember:
    """A member as it stands in the store."""

    trained: bool  #: there is a model; without one, nothing could help any more
    verdict: MemberResult


#: of a member that was not trained, because the one before it ended the ensemble
UNTRAINED = StoredMember(trained=False, verdict=MemberResult(weight=0.0, kept=False, error=None, next=None))


def write_member_result(judged: StoredMember, folder: Path) -> None:
    """Write a verdict; the weights of the next round lie in a file of their own."""
    verdict = judged.verdict
    following = verdict.next
    data = {
        "trained": judged.trained,
        "kept": bool(verdict.kept),  # numpy's own types are no plain data
        "weight": float(verdict.weight),
        "error": None if verdict.error is None else float(verdict.error),
        "next": None if following is None else _told(following),
    }
    (folder / MEMBER_RESULT_FILE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    if following is not None:
        save_file({"weights": torch.from_numpy(following.weights).contiguous()}, folder / SAMPLE_WEIGHTS_FILE)


def read_member_result(folder: Path) -> StoredMember:
    """The verdict in the folder of a member."""
    data = json.loads((folder / MEMBER_RESULT_FILE).read_text(encoding="utf-8"))
    following = None
    if data["next"] is not None:
        following = SampleWeights(
            sampling=Sampling(data["next"]["sampling"]),
            weights=load_file(folder / SAMPLE_WEIGHTS_FILE)["weights"].numpy(),
            retries=data["next"]["retries"],
            draws=data["next"].get("draws"),  # absent where all are drawn, and in older files
        )
    verdict = MemberResult(weight=data["weight"], kept=data["kept"], error=data["error"], next=following)
    return StoredMember(trained=data["trained"], verdict=verdict)


def _told(following: SampleWeights) -> dict[str, Any]:
    told = {"sampling": following.sampling.value, "retries": int(following.retries)}
    return told if following.draws is None else {**told, "draws": int(following.draws)}
