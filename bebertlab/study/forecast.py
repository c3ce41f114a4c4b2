"""What a study would do: trials and stages left, and what they take by what such stages took before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from statistics import mean
from typing import Any

from attrs import field, frozen

from bebertlab.interfaces.events import TrialState
from bebertlab.recipe.plan import Node
from bebertlab.store.manifest import Manifest
from bebertlab.study.session import Session
from bebertlab.study.space import planned_trials


@frozen(kw_only=True)
class Work:
    """The stages of one kind."""

    stored: int
    missing: int
    seconds: float | None  #: what the missing ones take together; None where no such stage is stored


@frozen(kw_only=True)
class Forecast:
    """What is left to do of a study."""

    trials: int  #: known ones
    complete: int
    undrawn: int = 0  #: trials that a sampler will draw when it knows how the others did
    kinds: Mapping[str, Work] = field(factory=dict)  #: by kind of stage, in the order of the recipe

    @property
    def seconds(self) -> float:
        """What the stages take that something is known of."""
        return sum(work.seconds or 0.0 for work in self.kinds.values())

    @property
    def unknown(self) -> tuple[str, ...]:
        """Kinds of stages that nothing is known of."""
        return tuple(kind for kind, work in self.kinds.items() if work.missing and work.seconds is None)


def forecast(session: Session) -> Forecast:
    """Plan every known trial and look what is stored; changes nothing.

    Raises:
        UserError: a trial cannot run.
    """
    records = session.records()
    if session.study.sampler.kind == "grid":
        session.check_plans(records)
    else:
        session.check_drawn(records)
    nodes, missing = session.stages(records)
    complete = sum(record.state is TrialState.COMPLETE for record in records)
    known = _means(session.store.manifests())
    kinds = {
        kind: _work([node for node in nodes.values() if node.kind == kind], missing, known)
        for kind in dict.fromkeys(node.kind for node in nodes.values())
    }
    undrawn = planned_trials(session.study) - len(records)
    return Forecast(trials=len(records), complete=complete, undrawn=undrawn, kinds=kinds)


def _work(nodes: list[Node], missing: Set[str], known: Mapping[tuple[str, ...], float]) -> Work:
    left = [node for node in nodes if node.key in missing]
    guesses = [_guess(node, known) for node in left]
    certain = [guess for guess in guesses if guess is not None]
    return Work(
        stored=len(nodes) - len(left),
        missing=len(left),
        seconds=sum(certain) if len(certain) == len(guesses) else None,
    )


def _guess(node: Node, known: Mapping[tuple[str, ...], float]) -> float | None:
    """The mean of the stages most like it: of its name and task, of its kind and task, of its kind."""
    return next((known[words] for words in _likeness(node.name, node.kind, node.parts) if words in known), None)


def _means(manifests: Iterable[Manifest]) -> dict[tuple[str, ...], float]:
    seconds: dict[tuple[str, ...], list[float]] = {}
    for manifest in manifests:
        for words in _likeness(manifest.stage, manifest.kind, manifest.parts):
            seconds.setdefault(words, []).append(manifest.seconds)
    return {words: mean(values) for words, values in seconds.items()}


def _likeness(name: str, kind: str, parts: Mapping[str, Any]) -> list[tuple[str, ...]]:
    task = str(parts.get("task", {}).get("digest"))
    return [(kind, task, name), (kind, task), (kind,)]
