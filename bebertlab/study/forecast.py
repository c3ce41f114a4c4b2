"""What a study would do: trials and stages left, and what they take by what like stages took before."""

from __future__ import annotations

from collections.abc import Mapping, Set

from attrs import field, frozen

from bebertlab.interfaces.events import TrialState
from bebertlab.recipe.plan import Node
from bebertlab.study.likeness import Times
from bebertlab.study.session import Session
from bebertlab.study.space import planned_trials


@frozen(kw_only=True)
class Work:
    """The stages of one kind."""

    stored: int
    missing: int
    unknown: int  #: missing ones that no stored stage is like
    seconds: float  #: what the other missing ones take together


@frozen(kw_only=True)
class Forecast:
    """What is left to do of a study."""

    trials: int  #: known ones
    complete: int
    undrawn: int = 0  #: trials that a sampler will draw when it knows how the others did
    kinds: Mapping[str, Work] = field(factory=dict)  #: by kind of stage, in the order of the recipe

    @property
    def missing(self) -> int:
        """Stages to run."""
        return sum(work.missing for work in self.kinds.values())

    @property
    def unknown(self) -> int:
        """Stages to run of which it is not known how long they take."""
        return sum(work.unknown for work in self.kinds.values())

    @property
    def seconds(self) -> float:
        """What the other stages to run take together."""
        return sum(work.seconds for work in self.kinds.values())


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
    times = Times.of(session.store.manifests(), {key: node.parts for key, node in nodes.items()})
    kinds = {
        kind: _work([node for node in nodes.values() if node.kind == kind], missing, times)
        for kind in dict.fromkeys(node.kind for node in nodes.values())
    }
    undrawn = planned_trials(session.study) - len(records)
    return Forecast(trials=len(records), complete=complete, undrawn=undrawn, kinds=kinds)


def _work(nodes: list[Node], missing: Set[str], times: Times) -> Work:
    guesses = [times.guess(node.key) for node in nodes if node.key in missing]
    known = [guess for guess in guesses if guess is not None]
    return Work(
        stored=len(nodes) - len(guesses),
        missing=len(guesses),
        unknown=len(guesses) - len(known),
        seconds=sum(known),
    )
