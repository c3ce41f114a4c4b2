"""`bebertlab plugin`: the parts that YAML can name, and their options."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import click

from bebertlab.cli.options import Settings, format_option, pass_settings, table
from bebertlab.errors import UserError, unknown

if TYPE_CHECKING:
    from bebertlab.config.describe import FieldDescription
    from bebertlab.registry.manager import Plugins
    from bebertlab.registry.registry import Registry, RegistryEntry


@click.group()
def plugin() -> None:
    """List plugins and what they contribute."""


@plugin.command("list")
@click.option("--role", help="Only parts of this role, e.g. quantizer.")
@format_option
@pass_settings
def list_(settings: Settings, role: str | None, form: str) -> None:
    """List every part by role and kind, and the plugins that failed."""
    from bebertlab.registry.manager import forgotten_entry_points

    plugins = settings.load(quiet=True)
    if role is not None:
        _check_role(role)
    entries = [entry for entry in plugins.registry.all() if role in (None, entry.role)]
    click.echo(_json_list(plugins, entries) if form == "json" else _table_list(plugins, entries))
    if forgotten := forgotten_entry_points():
        click.echo(
            f"hint: the installed bebertlab does not know {', '.join(forgotten)} of pyproject.toml yet; "
            "run `pip install -e .` again",
            err=True,
        )


@plugin.command()
@click.argument("kind")
@format_option
@pass_settings
def show(settings: Settings, kind: str, form: str) -> None:
    """Show what a part is, and all its options with those of nested mappings.

    KIND is the name in YAML, e.g. lsq, or role:kind where several roles have it.
    """
    from bebertlab.config.describe import describe, documentation, flatten

    entry = _find(settings.load(quiet=True).registry, kind)
    fields = describe(entry.cls)
    if form == "json":
        options = [attrs.asdict(field) for field in fields]
        data = {**_as_data(entry), "doc": documentation(entry.cls), "fields": options}
        click.echo(json.dumps(data, indent=2))
        return
    click.echo(f"{entry.role} '{entry.kind}', revision {entry.cls.revision}, of {entry.source}\n")
    if doc := documentation(entry.cls):
        click.echo(f"{doc}\n")
    rows = [_option_row(path, field) for path, field in flatten(fields)]
    click.echo(table(("OPTION", "TAKES", "DEFAULT", "RULE", "MEANING"), rows) if rows else "It takes no options.")


def _option_row(path: str, field: FieldDescription) -> tuple[str, ...]:
    default = "(required)" if field.required else field.default
    return (path, field.type, default, field.rule, field.doc)


def _find(registry: Registry, name: str) -> RegistryEntry:
    """The entry of `kind` or `role:kind`."""
    role, colon, kind = name.rpartition(":")
    if colon:
        _check_role(role)
        return registry.entry(registry.find(role, kind))
    entries = [entry for entry in registry.all() if entry.kind == name]
    if not entries:
        raise registry.unknown("part", name)
    if len(entries) > 1:
        choices = ", ".join(f"{entry.role}:{entry.kind}" for entry in entries)
        raise UserError(f"'{name}' is a kind of several roles; name one of: {choices}")
    return entries[0]


def _check_role(role: str) -> None:
    from bebertlab.interfaces.roles import role_names

    if role not in role_names():
        raise unknown("role", role, role_names())


def _as_data(entry: RegistryEntry) -> dict[str, Any]:
    from bebertlab.config.describe import summary

    return {
        "role": entry.role,
        "kind": entry.kind,
        "revision": entry.cls.revision,
        "summary": summary(entry.cls),
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "file": None if entry.source.file is None else str(entry.source.file),
    }


def _json_list(plugins: Plugins, entries: Sequence[RegistryEntry]) -> str:
    failed = [
        {"plugin": failure.source.plugin, "distribution": failure.source.distribution, "error": failure.error}
        for failure in plugins.failures
    ]
    parts = [_as_data(entry) for entry in entries]
    return json.dumps({"parts": parts, "failed": failed, "disabled": plugins.disabled}, indent=2)


def _table_list(plugins: Plugins, entries: Sequence[RegistryEntry]) -> str:
    from bebertlab.config.describe import summary

    rows = [(entry.role, entry.kind, entry.plugin, summary(entry.cls)) for entry in entries]
    rows += [("FAILED", "", failure.source.plugin, failure.error) for failure in plugins.failures]
    rows += [("disabled", "", name, "") for name in plugins.disabled]
    return table(("ROLE", "KIND", "PLUGIN", "DESCRIPTION"), rows)
