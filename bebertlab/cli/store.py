"""`bebertlab store`: the stored artifacts of stages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bebertlab.cli.options import (
    SHORT_KEY,
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
from bebertlab.locations import path_from

if TYPE_CHECKING:
    from bebertlab.store.manifest import Manifest
    from bebertlab.store.store import Store
    from bebertlab.store.why import Difference


@click.group()
def store() -> None:
    """List, explain and clean up stored stages."""


@store.command("list")
@click.option("--stage", help="Only stages with this name, or members of this group.")
@click.option("--kind", help="Only stages of this kind.")
@work_option
@format_option
def list_(stage: str | None, kind: str | None, work: Path, form: str) -> None:
    """List the stored stages, the latest last."""
    from bebertlab.store.store import Store

    store_ = Store(work / "store")
    manifests = [m for m in store_.manifests() if kind in (None, m.kind) and _has_name(m, stage)]
    manifests.sort(key=lambda manifest: (manifest.created, manifest.key))
    if form == "json":
        click.echo(json.dumps([_as_data(manifest, store_) for manifest in manifests], indent=2))
        return
    rows = [_as_row(manifest) for manifest in manifests]
    click.echo(table(["KEY", "STAGE", "KIND", "BUILT (UTC)", "TIME", "SIZE", "SCORE"], rows))
    total = format_size(sum(manifest.size for manifest in manifests))
    click.echo(f"{len(manifests)} stages, {total}, in {store_.root}", err=True)


@store.command()
@click.argument("name", metavar="STAGE")
@set_option
@work_option
@device_option
@threads_option
@click.option("--all", "all_parts", is_flag=True, help="Show all parts of the key, and all that differ.")
@pass_settings
def why(
    settings: Settings, name: str, sets: tuple[str, ...], work: Path, device: str, threads: int, all_parts: bool
) -> None:
    """Explain the key of a stage: how it differs from the most similar stored stage of its kind.

    STAGE is a stored stage (its key or the beginning of it, its name, or STUDY/TRIAL/STAGE), or RECIPE.yaml:STAGE for
    a stage of a recipe file: this explains why it is built and not cached.

    A key also holds what options expand to: the quantizer of each site, the losses of each phase. With --all these are
    listed under `made_of`.
    """
    from bebertlab.store.store import Store
    from bebertlab.store.why import differences, nearest
    from bebertlab.study.find import find_key

    store_ = Store(work / "store")
    manifests = list(store_.manifests())
    known: dict[str, Mapping[str, Any]] = {manifest.key: manifest.parts for manifest in manifests}
    path, colon, stage = name.rpartition(":")
    if colon:
        key, kind = _recipe_stage(settings, path_from("", path), stage, sets, device, threads, known)
    else:
        key = find_key(name, work)
        manifest = store_.peek(key)
        if manifest is None:
            raise UserError(f"{store_.folder(key)}: its manifest is damaged; `store gc` removes the stage")
        kind = manifest.kind
    parts = known[key]
    state = "cached" if store_.peek(key) is not None else "not cached"
    click.echo(f"{key}\n{kind}, {state}\n")
    other = nearest(parts, kind, manifests, key)
    if other is None:
        click.echo(f"No other {kind} is stored.")
    else:
        label = f"{other.stage}, {other.key[:SHORT_KEY]}, built {_format_time(other.created)}"
        click.echo(f"The most similar stored {kind} ({label} UTC) differs in:")
        click.echo(_difference_table(differences(parts, other.parts, known.get), all_parts=all_parts))
    if all_parts:
        click.echo(f"\nAll parts of the key:\n{_parts_table(parts)}")


@store.command()
@click.option("--days", type=click.FloatRange(0), help="Also what was not read for this many days.")
@click.option("--unreferenced", is_flag=True, help="Also what no study of the work folder needs.")
@click.option("-n", "--dry-run", is_flag=True, help="Only list what would be removed.")
@work_option
def gc(days: float | None, unreferenced: bool, dry_run: bool, work: Path) -> None:
    """Remove corrupt stages and what killed runs left; with options, also stages that are not needed.

    With both options, a stage is removed if both hold. Cached tokens that were not read for --days are removed too;
    they are computed again when needed.
    """
    from bebertlab.store.gc import find_garbage, named_in_studies, remove, remove_locks
    from bebertlab.store.store import Store

    store_ = Store(work / "store")
    named = named_in_studies(work / "studies", store_) if unreferenced else None
    count = size = 0
    for garbage in find_garbage(store_, days=days, named=named):
        if not dry_run and not remove(store_, garbage):
            click.echo(f"{garbage.key[:SHORT_KEY]}: kept, a process is using it", err=True)
            continue
        click.echo(f"{garbage.key[:SHORT_KEY]}  {format_size(garbage.size)}  {garbage.reason}")
        count += 1
        size += garbage.size
    if not dry_run:
        remove_locks(store_)
    click.echo(f"{'would remove' if dry_run else 'removed'} {count} folders, {format_size(size)}", err=True)


def _has_name(manifest: Manifest, name: str | None) -> bool:
    return name is None or manifest.stage == name or manifest.stage.startswith(f"{name}.")


def _as_row(manifest: Manifest) -> list[str]:
    from bebertlab.interfaces.metric_names import VALIDATION_SCORE

    score = manifest.metrics.get(VALIDATION_SCORE)
    return [
        manifest.key[:SHORT_KEY],
        manifest.stage,
        manifest.kind,
        _format_time(manifest.created),
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


def _recipe_stage(
    settings: Settings,
    path: Path,
    name: str,
    sets: tuple[str, ...],
    device: str,
    threads: int,
    known: dict[str, Mapping[str, Any]],
) -> tuple[str, str]:
    """Key and kind of a stage of a recipe; adds the parts of all its stages to `known`."""
    from bebertlab.cli.recipe import planned_recipe

    _, plan, _ = planned_recipe(settings, path, sets, device=device, threads=threads)
    if name not in plan.nodes:
        raise unknown("stage", name, plan.nodes)
    known.update({node.key: node.parts for node in plan.nodes.values()})
    return plan.nodes[name].key, plan.nodes[name].kind


def _format_time(created: str) -> str:
    return created.replace("T", " ").removesuffix("+00:00")


def _parts_table(parts: Mapping[str, Any]) -> str:
    from bebertlab.store.why import flatten

    return table(["PART", "VALUE"], [[_format_path(path), _format_part(item)] for path, item in flatten(parts).items()])


def _difference_table(differences: Sequence[Difference], *, all_parts: bool) -> str:
    """What differs: in the words of recipes, or all parts as they are in the keys."""
    from bebertlab.store.why import main_differences

    shown, left_out = (differences, 0) if all_parts else main_differences(differences)
    rows = [[_format_path(d.path), f"{_format_part(d.other)} -> {_format_part(d.value)}"] for d in shown]
    lines = [table(["PART", "STORED -> THIS STAGE"], rows)]
    if left_out:
        lines.append(f"({left_out:,} more in what these options expand to; --all lists them)")
    return "\n".join(lines)


def _format_path(path: str) -> str:
    """A path of a key for users; `design` is the name of the quantization in keys.

    >>> _format_path("inputs.of.0 > made_of.design.weights.query.kind")
    'inputs.of.0 > made_of.quantization.weights.query.kind'
    """
    return re.sub(r"\bmade_of\.design\b|\bmade_of\.design(?=_options)", "made_of.quantization", path)


def _format_part(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    is_key = isinstance(value, str) and len(value) == 64
    return f"{text[:SHORT_KEY]}..." if is_key else text
