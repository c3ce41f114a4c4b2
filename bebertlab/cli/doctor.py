"""`bebertlab doctor`: check the environment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from bebertlab.cli.options import Settings, format_option, pass_settings, table, work_option
from bebertlab.errors import EXIT_ENVIRONMENT
from bebertlab.redact import redact

if TYPE_CHECKING:
    from bebertlab.cli.health.finding import Finding


@click.command()
@work_option
@click.option("--online", is_flag=True, help="Also check that the Hugging Face hub can be reached.")
@click.option("--quick", is_flag=True, help="Skip the check of Ray, which takes some seconds.")
@format_option
@pass_settings
@click.pass_context
def doctor(ctx: click.Context, settings: Settings, work: Path, online: bool, quick: bool, form: str) -> None:
    """Check the environment: Python, packages, plugins, machine, Ray and MLflow.

    Exits with 3 if a check fails that studies depend on.
    """
    from bebertlab.cli.health.finding import Mark

    findings = [
        attrs.evolve(finding, found=redact(finding.found))
        for finding in _run_checks(settings, work, online=online, quick=quick)
    ]
    failed = sum(finding.mark == Mark.FAIL for finding in findings)
    click.echo(_as_json(findings, healthy=not failed) if form == "json" else _as_table(findings))
    if failed:
        click.echo(f"{failed} of {len(findings)} checks failed", err=True)
        ctx.exit(EXIT_ENVIRONMENT)


def _run_checks(settings: Settings, work: Path, *, online: bool, quick: bool) -> Iterator[Finding]:
    from bebertlab.cli.health import installation, machine, services
    from bebertlab.cli.health.finding import run_check

    yield from run_check("python", installation.python)
    yield from run_check("packages", installation.packages)
    yield from run_check("plugins", lambda: installation.plugins(settings.load(quiet=True)))
    yield from run_check("GLUE data", installation.data)
    yield from run_check("processor", machine.processor)
    yield from run_check("kernels", machine.kernels)
    yield from run_check("gpu", machine.graphics)
    yield from run_check("memory", machine.memory)
    yield from run_check("disk", lambda: machine.disk(work))
    yield from run_check("mlflow", lambda: services.tracking(work))
    if not quick:
        yield from run_check("ray", services.ray)
    if online:
        yield from run_check("hub", services.hub)


def _as_table(findings: Sequence[Finding]) -> str:
    lines = [(finding.mark, finding.what, finding.found) for finding in findings]
    hints = [f"{finding.what}: {finding.hint}" for finding in findings if finding.hint]
    advice = ["", "What to do:", *(f"  {hint}" for hint in hints)] if hints else []
    return "\n".join([table(("", "CHECK", "RESULT"), lines), *advice])


def _as_json(findings: Sequence[Finding], *, healthy: bool) -> str:
    return json.dumps({"healthy": healthy, "findings": [attrs.asdict(finding) for finding in findings]}, indent=2)
