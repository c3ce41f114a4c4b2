"""`bebertlab store`: what stages left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bebertlab.cli.options import (
    Settings,
    device_option,
    format_option,
    pass_settings,
    set_option,
    table,
    threads_option,
    work_option,
)
from bebertlab.config.humanize import format_duration, format_size
from bebertlab.errors import UserError, unknown
from bebertlab.locations import beside

if TYPE_CHECKING:
    from bebertlab.store.manifest import Manifest
    from bebertlab.store.store import Store
    from bebertlab.store.why import Difference

_SHORT = 12


@click.group()
def store() -> None:
    """List, explain and clean up what stages left."""


@store.command("list")
@click.option("--stage", help="Only stages of this name, or members of this group.")
@click.option("--kind", help="Only stages of this kind.")
@work_option
@format_option
def list_(stage: str | None, kind: str | None, work: Path, form: str) -> None:
    """List what is stored, the latest last."""
    from bebertlab.store.store import Store

    found = Store(work / "store")
    manifests = [m for m in found.manifests() if kind in (None, m.kind) and _is_called(m, stage)]
    manifests.sort(key=lambda manifest: (manifest.created, manifest.key))
    if form == "json":
        click.echo(json.dumps([_as_data(manifest, found) for manifest in manifests], indent=2))
        return
    rows = [_as_row(manifest) for manifest in manifests]
    click.echo(table(["KEY", "STAGE", "KIND", "MADE", "TOOK", "SIZE", "SCORE"], rows))
    total = format_size(sum(manifest.size for manifest in manifests))
    click.echo(f"{len(manifests)} stages, {total}, in {found.root}", err=True)


@store.command()
@click.argument("what")
@set_option
@work_option
@device_option
@threads_option
@pass_settings
def why(settings: Settings, what: str, sets: tuple[str, ...], work: Path, device: str, threads: int) -> None:
    """Say what a key is made of, and how it differs from the most similar stored stage of its kind.

    WHAT is the beginning of a stored key, the name of a stored stage (the latest of that name), or RECIPE:STAGE for
    a stage of a recipe file, stored or not: that tells why it would run.
    """
    from bebertlab.store.store import Store
    from bebertlab.store.why import differences, flatten, nearest

    found = Store(work / "store")
    manifests = list(found.manifests())
    known: dict[str, Mapping[str, Any]] = {manifest.key: manifest.parts for manifest in manifests}
    path, colon, name = what.rpartition(":")
    if colon:
        key, kind = _of_recipe(settings, beside("", path), name, sets, device, threads, known)
    else:
        key, kind = _of_store(what, manifests)
    parts = known[key]
    state = "is stored" if found.peek(key) is not None else "is not stored"
    click.echo(f"{key}\n{kind}, {state}. It is made of:")
    click.echo(table(["PART", "VALUE"], [[path, _shown(value)] for path, value in flatten(parts).items()]))
    other = nearest(parts, kind, manifests, key)
    if other is None:
        click.echo(f"\nNo other {kind} is stored.")
        return
    made = f"{other.stage}, {other.key[:_SHORT]}, made {other.created}"
    click.echo(f"\nThe most similar stored {kind} ({made}) differs in:")
    click.echo(_difference_table(differences(parts, other.parts, known.get)))


@store.command()
@click.option("--days", type=click.FloatRange(0), help="Also what was not read for so many days.")
@click.option("--unreferenced", is_flag=True, help="Also what no study of the work folder names.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
@work_option
def gc(days: float | None, unreferenced: bool, dry_run: bool, work: Path) -> None:
    """Remove damaged stages and what killed runs left; with options, also stages that are not needed.

    With both options, a stage goes if both hold. Tokens that were not read for so many days go too: they are made
    again where they are needed.
    """
    from bebertlab.store.gc import find_garbage, named_in_studies, remove, remove_locks
    from bebertlab.store.store import Store

    found = Store(work / "store")
    named = named_in_studies(work / "studies", found) if unreferenced else None
    count = size = 0
    for rubbish in find_garbage(found, days=days, named=named):
        if not dry_run and not remove(found, rubbish):
            click.echo(f"{rubbish.key[:_SHORT]}: a process is at work on it; it stays", err=True)
            continue
        click.echo(f"{rubbish.key[:_SHORT]}  {format_size(rubbish.size)}  {rubbish.what}")
        count += 1
        size += rubbish.size
    if not dry_run:
        remove_locks(found)
    click.echo(f"{'would remove' if dry_run else 'removed'} {count} folders, {format_size(size)}", err=True)


def _is_called(manifest: Manifest, name: str | None) -> bool:
    return name is None or manifest.stage == name or manifest.stage.startswith(f"{name}.")


def _as_row(manifest: Manifest) -> list[str]:
    from bebertlab.interfaces.metric_names import VALIDATION_SCORE

    score = manifest.metrics.get(VALIDATION_SCORE)
    made = manifest.created.replace("T", " ").removesuffix("+00:00")
    return [
        manifest.key[:_SHORT],
        manifest.stage,
        manifest.kind,
        made,
        format_duration(manifest.seconds),
        format_size(manifest.size),
        "" if score is None else f"{score:.2f}",
    ]


def _as_data(manifest: Manifest, store: Store) -> dict[str, Any]:
    return {
        "key": manifest.key,
        "stage": manifest.stage,
        "kind": manifest.kind,
        "created": manifest.created,
        "used": store.used(manifest.key).isoformat(timespec="seconds"),
        "seconds": manifest.seconds,
        "bytes": manifest.size,
        "folder": str(store.folder(manifest.key)),
        "metrics": dict(manifest.metrics),
    }


def _of_store(what: str, manifests: Sequence[Manifest]) -> tuple[str, str]:
    """Key and kind of a stored stage."""
    begins = [manifest for manifest in manifests if manifest.key.startswith(what)]
    if len(begins) > 1:
        keys = ", ".join(manifest.key[: len(what) + 4] for manifest in begins[:5])
        raise UserError(f"'{what}' is the beginning of {len(begins)} keys ({keys} ...); write more of it")
    called = sorted((m for m in manifests if m.stage == what), key=lambda manifest: manifest.created)
    chosen = begins or called
    if not chosen:
        raise unknown("key or stage", what, {manifest.stage for manifest in manifests})
    return chosen[-1].key, chosen[-1].kind


def _of_recipe(
    settings: Settings,
    path: Path,
    name: str,
    sets: tuple[str, ...],
    device: str,
    threads: int,
    known: dict[str, Mapping[str, Any]],
) -> tuple[str, str]:
    """Key and kind of a stage of a recipe; the parts of all its stages become known."""
    from bebertlab.cli.recipe import planned_recipe

    _, plan, _ = planned_recipe(settings, path, sets, device=device, threads=threads)
    if name not in plan.nodes:
        raise unknown("stage", name, plan.nodes)
    known.update({node.key: node.parts for node in plan.nodes.values()})
    return plan.nodes[name].key, plan.nodes[name].kind


def _difference_table(found: Sequence[Difference]) -> str:
    rows = [[one.path, _shown(one.value), _shown(one.other)] for one in found]
    return table(["PART", "HERE", "THERE"], rows)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    is_key = isinstance(value, str) and len(value) == 64
    return f"{text[:_SHORT]}..." if is_key else text
