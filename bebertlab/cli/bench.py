"""`bebertlab bench`: how fast and how large training is on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bebertlab.cli.options import Settings, device_option, format_option, pass_settings, table
from bebertlab.errors import SetupError, UserError

if TYPE_CHECKING:
    from bebertlab.bench.machine import Machine
    from bebertlab.bench.profile import StepProfile
    from bebertlab.bench.row import Finding, Row
    from bebertlab.bench.setting import Setting

_DEVICES = ("cpu", "cuda")


@click.group()
def bench() -> None:
    """Measure speed and memory."""


@bench.command()
@click.option("--shape", type=click.Choice(["tiny", "minilm", "base"]), default="minilm", show_default=True)
@click.option("--quick", is_flag=True, help="Fewer rows, fewer repeats: under a minute on two cores.")
@click.option("--only", multiple=True, metavar="ROW", help="Only this row or family of rows. Repeatable.")
@click.option("--profile", "profiled", is_flag=True, help="Show where a step goes, part by part, instead.")
@device_option
@click.option("--threads", type=click.IntRange(1), help="Threads of torch.  [default: one for each core]")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@format_option
@pass_settings
def train(
    settings: Settings,
    shape: str,
    quick: bool,
    only: tuple[str, ...],
    profiled: bool,
    device: str,
    threads: int | None,
    batch_size: int,
    seed: int,
    form: str,
) -> None:
    """Compare training with full-precision training, on generated sentences as long as those of SST-2.

    Every figure is a ratio of runs that take turns, the median over the turns; the spread is the lowest and the
    highest. The yardstick is Hugging Face's BERT of the same shape. With --profile, --only names schemes.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler reads it at import, and else tells each start
    from bebertlab.bench.machine import machine
    from bebertlab.bench.setting import Setting
    from bebertlab.processors import processors

    settings.load()
    setting = Setting(
        shape=shape,
        device=_checked(device),
        threads=threads or processors().usable,
        seed=seed,
        quick=quick,
        batch_size=batch_size,
        plugins=settings.plugins,
    )
    here = machine(setting)
    if profiled:
        _show_profiles(only, setting, here, form)
    else:
        _show_rows(only, setting, here, form)


def _checked(device: str) -> str:
    """A device that is there.

    Raises:
        UserError: it is of a kind that nothing is measured on.
        SetupError: this machine has none.
    """
    import torch

    kind, _, number = device.partition(":")
    if kind not in _DEVICES or not (number.isdecimal() or (number == "" and ":" not in device)):
        raise UserError(f"--device {device} cannot be measured on; cpu, cuda or cuda:NUMBER is right")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise SetupError(f"--device {device} is not there: torch sees {torch.cuda.device_count()} GPUs")
    return device


def _show_rows(only: Sequence[str], setting: Setting, here: Machine, form: str) -> None:
    from bebertlab.bench.report import report
    from bebertlab.bench.suite import choose, measure

    wanted = choose(only, quick=setting.quick)
    findings = []
    for finding in measure(wanted, setting, lambda names: click.echo(f"measuring {names}", err=True)):
        findings.append(finding)
        click.echo(f"  {_spoken(finding)}", err=True)
    click.echo(json.dumps(report(findings, here), indent=2) if form == "json" else _rows_table(findings, here))


def _spoken(finding: Finding) -> str:
    from bebertlab.bench.row import Row

    if isinstance(finding, Row):
        return f"{finding.target.name}: {finding.ratio.median:.3g}"
    return f"{finding.target.name}: not measured"


def _rows_table(findings: Sequence[Finding], here: Machine) -> str:
    from bebertlab.bench.row import Missing, Row

    rows = [finding for finding in findings if isinstance(finding, Row)]
    missing = [finding for finding in findings if isinstance(finding, Missing)]
    lines = [_cells(row) for row in rows]
    parts = [_machine_line(here)]
    if rows:
        parts.append(table(("ROW", "RATIO", "SPREAD", "GOAL", "MET", "WHAT", "FIGURES"), lines))
    if missing:
        parts.append("Not measured:\n" + "\n".join(f"  {one.target.name}: {one.reason}" for one in missing))
    return "\n\n".join(parts)


def _cells(row: Row) -> tuple[str, ...]:
    goal = row.target.goal
    bound = "at most" if row.target.better == "lower" else "at least"
    return (
        row.target.name,
        f"{row.ratio.median:.3g}",
        f"{row.ratio.low:.3g}-{row.ratio.high:.3g}",
        "" if goal is None else f"{bound} {goal:g}",
        {None: "", True: "yes", False: "NO"}[row.met],
        row.target.what,
        row.note,
    )


def _machine_line(here: Machine) -> str:
    memory = "" if here.memory_gibibytes is None else f", {here.memory_gibibytes:g} GiB"
    on = here.gpu or f"{here.processor}, {here.cores} cores, {here.threads} threads{memory}"
    able = ", ".join((*here.instructions, *(["products of bytes"] if here.byte_products else [])))
    return f"{on}; {able}; torch {here.torch}, transformers {here.transformers}"


def _show_profiles(only: Sequence[str], setting: Setting, here: Machine, form: str) -> None:
    from bebertlab.bench.profile import profile_steps
    from bebertlab.bench.report import profile_report

    profiles = profile_steps(only, setting, lambda what: click.echo(f"profiling {what}", err=True))
    data = json.dumps(profile_report(profiles, here), indent=2) if form == "json" else _profile_table(profiles, here)
    click.echo(data)


def _profile_table(profiles: Sequence[StepProfile], here: Machine) -> str:
    from bebertlab.bench.parts import ModelPart
    from bebertlab.bench.training import TOKENS

    first = profiles[0]
    lines = [("step, ms", *(f"{one.milliseconds:.1f}" for one in profiles))]
    lines.append((f"by {first.what}", *(f"{one.milliseconds / first.milliseconds:.2f}x" for one in profiles)))
    for part in ModelPart:
        for backward in (False, True):
            shares = [one.shares.get((part, backward), 0.0) for one in profiles]
            if any(shares):
                cells = (
                    f"{share * one.milliseconds:.1f} ({share:.0%})" for share, one in zip(shares, profiles, strict=True)
                )
                lines.append((f"{part}{', backward' if backward else ''}", *cells))
    most = [_largest_extra(one) for one in profiles]
    lines.append(("extra tensors of a weight's size, allocated (at once)", *most))
    head = ("PART", *(one.what for one in profiles))
    return f"{_machine_line(here)}\na training step, {TOKENS} tokens; ms and share\n\n{table(head, lines)}"


def _largest_extra(one: StepProfile) -> str:
    if not one.extras:
        return "0"
    total = max(extra.total for extra in one.extras.values())
    return f"{total:.2g} ({max(extra.peak for extra in one.extras.values()):.2g})"
