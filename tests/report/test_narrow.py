from __future__ import annotations

from bebertlab.report.document import Table
from bebertlab.report.narrow import details, fits_page, least_needed, narrowed

COLUMNS = ("#", "size", "validation/score", "validation/ece", "validation/brier", "matrix MiB", "stored MiB", "GFLOPs")
METRICS = ["validation/ece", "validation/brier"]


def table(width: int) -> Table:
    """A table of cells with so many letters."""
    return Table(columns=COLUMNS, rows=(("1", *["x" * width] * (len(COLUMNS) - 1)),), marked=frozenset({0}))


def test_a_table_that_fits_is_unchanged() -> None:
    assert narrowed(table(5), least_needed(table(5), METRICS), fits_page) == table(5)
    assert details(table(5), table(5), 2, "More") is None


def test_further_metrics_are_removed_first_then_costs() -> None:
    for width, left in ((16, COLUMNS[:3] + COLUMNS[5:]), (20, (*COLUMNS[:3], "matrix MiB", "GFLOPs"))):
        shown = narrowed(table(width), least_needed(table(5), METRICS), fits_page)
        assert shown.columns == left
        assert fits_page(shown)
        assert not fits_page(table(width))


def test_details_have_the_removed_columns_and_the_first_columns_if_they_fit() -> None:
    whole = table(16)
    more = details(whole, narrowed(whole, least_needed(table(5), METRICS), fits_page), 2, "More")
    assert more == Table(
        columns=("#", "size", *METRICS), rows=(("1", *["x" * 16] * 3),), marked=frozenset({0}), summary="More"
    )
    whole = table(45)
    more = details(whole, whole.without(METRICS), 2, "More")
    assert more is not None
    assert more.columns == ("#", *METRICS)


def test_heads_break_at_slashes_and_spaces() -> None:
    long = Table(columns=("validation_mismatched/a_long_metric and more",) * 4, rows=(("1",) * 4,))
    assert fits_page(long)
    assert not fits_page(Table(columns=tuple(name.replace("/", "_") for name in long.columns), rows=long.rows))


def test_the_computed_size_leaves_where_the_file_was_measured() -> None:
    columns = ("#", "validation/score", "matrix MiB", "total MiB", "packed MiB", "GFLOPs")
    wide = Table(columns=columns, rows=(("1", *["x" * 25] * 5),))
    shown = narrowed(wide, least_needed(wide, ()), lambda table: len(table.columns) <= 4)
    assert shown.columns == ("#", "validation/score", "packed MiB", "GFLOPs")
    computed = wide.without(["packed MiB"])
    assert narrowed(computed, least_needed(computed, ()), lambda _: False).columns == (*columns[:2], "total MiB")
