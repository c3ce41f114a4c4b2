"""All points, and those on the Pareto fronts."""

from __future__ import annotations

from collections.abc import Sequence

from bebertlab.interfaces.events import TrialRecord
from bebertlab.report.document import Block, Figure, Section, Text
from bebertlab.report.labels import listing
from bebertlab.report.material import Material
from bebertlab.report.pareto import Placed, by_operations, by_seconds, by_size, front
from bebertlab.report.plots_points import against_cost, ranked
from bebertlab.report.rows import members
from bebertlab.report.tables import GIGAFLOPS, MATRIX, MEMBERS, STORED, TOTAL, front_table, points_table

_COSTS = {
    MATRIX: "Matrix: word embedding, linear layers and pooler in the bits of their quantizers.",
    TOTAL: "Total: with scales and all that stays in full precision.",
    STORED: "Stored: the model's file.",
    GIGAFLOPS: "GFLOPs: one sentence of 128 tokens, or of all positions of a model that has fewer; a product of a by b"
    " bits counts as a*b/64.",
}


def all_points(made: Material) -> Section:
    """The ranked points as a table and as a plot."""
    marked = "" if made.learned.nothing else " ≈ marks points that are not shown to be worse than the best."
    text = (
        f"Mean and half the 95% interval over seeds, in the order of the means.{marked} Training is the time to make "
        "every stage of the point once, shared stages included. Majority always gives the most frequent answer of the "
        "training set, chance guesses, each class equally often."
    )
    table = points_table(made.study, made.points, made.ties, made.places, best=not made.learned.nothing)
    costs = [said for column, said in _COSTS.items() if column in table.columns]
    blocks: list[Block] = [Text(words=" ".join([text, *costs])), table]
    blocks += _rejected(made)
    blocks += _constant(made)
    if len(made.scored) > 1:
        svg = ranked(made.study, made.points, "points")
        blocks.append(Figure(name="points", svg=svg, caption="Means, 95% intervals and single seeds (ticks)."))
    return Section(title="All points", blocks=tuple(blocks))


def _rejected(made: Material) -> list[Block]:
    """Points of which some member has no vote, so that members and sizes are not those that were searched."""
    found = [f"#{point.number}" for point in made.points if any(map(_has_rejected, point.trials.values()))]
    if not found:
        return []
    words = (
        f"{MEMBERS.capitalize()} and sizes are of those that vote, means over seeds. Fewer than were asked for vote in "
        f"{listing(found)}: the others were rejected, or not trained as the ensemble had ended."
    )
    return [Text(words=words)]


def _constant(made: Material) -> list[Block]:
    """Points with a model whose answers hardly vary, where others learned something."""
    found = [f"#{point.number}" for point in made.constant]
    if not found or made.learned.nothing:
        return []
    return [
        Text(words=f"A model of {listing(found)} gives the same answer to (nearly) every text: it learned nothing.")
    ]


def _has_rejected(trial: TrialRecord) -> bool:
    kept = members(trial.metrics)
    return kept is not None and kept < trial.metrics.get("members/count", kept)


def fronts(made: Material) -> list[Section]:
    """Score against size, operations and training time, where these differ among points that learned something."""
    if made.learned.nothing:
        return []
    kinds = (
        ("Score against size", by_size(made.points), "size (MiB)", "pareto-size"),
        ("Score against operations", by_operations(made.points), "GFLOPs", "pareto-operations"),
        ("Score against training time", by_seconds(made.points), "training (s)", "pareto-seconds"),
    )
    return [_pareto_section(made, *kind) for kind in kinds if len({one.cost for one in kind[1]}) > 1]


def _pareto_section(made: Material, title: str, placed: Sequence[Placed], label: str, name: str) -> Section:
    best = front(placed, maximize=made.study.maximize)
    text = "Points that no other beats at a lower or equal cost (within 1%), by their means; # is the rank."
    caption = "Front points carry their rank and 95% interval; the intervals of the others are in the table."
    return Section(
        title=title,
        blocks=(
            Text(words=text),
            front_table(made.study, best, label, made.places),
            Figure(name=name, svg=against_cost(made.study, placed, best, label, name), caption=caption),
        ),
    )
