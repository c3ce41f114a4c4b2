"""Options that several commands have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import field, frozen

from bebertlab.errors import UserError
from bebertlab.locations import expand_home

if TYPE_CHECKING:
    from bebertlab.registry.manager import Plugins


class PathType(click.Path):
    """A path of the command line or of a variable; `~` is the home folder (shells do not expand `--work=~/x`)."""

    def __init__(self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """The path."""
        try:
            return super().convert(expand_home(str(value)), param, ctx)
        except UserError as error:
            self.fail(str(error), param, ctx)


work_option = click.option(
    "--work",
    type=PathType(file_okay=False),
    envvar="BEBERTLAB_WORK",
    default=Path("bebertlab-work"),
    show_default=True,
    show_envvar=True,
    help="Folder for stages, journals, reports and tracking.",
)
set_option = click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change a value. Repeatable.")
device_option = click.option("--device", default="cpu", show_default=True, help="Where stages run, e.g. cuda.")
threads_option = click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of torch; part of every key."
)
format_option = click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns; the last one is as long as it is.

    >>> print(table(["A", "B"], [["longer", "x"], ["y", ""]]))
    A       B
    longer  x
    y
    """
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    )


@frozen(kw_only=True)
class Settings:
    """The options of the top group."""

    plugins: tuple[Path, ...] = ()  #: one-file plugins
    debug: bool = False  #: show tracebacks
    verbosity: int = 0  #: 1: informative messages, 2: all messages
    said: list[str] = field(factory=list)  #: plugins that failed, as printed

    def load(self, files: Iterable[Path] = (), *, quiet: bool = False) -> Plugins:
        """Load the installed plugins, those of `-p` and `files`; a warning names each that failed, unless `quiet`.

        Raises:
            UserError: a file does not exist.
        """
        from bebertlab.registry.manager import load_plugins

        plugins = load_plugins([*self.plugins, *files])
        for failure in plugins.failures:
            if str(failure) in self.said:
                continue
            if not quiet:
                click.echo(f"warning: {failure}", err=True)
                self.said.append(str(failure))
            if self.debug and failure.traceback:
                click.echo(failure.traceback, err=True)
        return plugins

    def unsaid(self, message: str) -> str:
        """A message without its lines on plugins that failed, where those were printed before."""
        return "\n".join(line for line in message.splitlines() if line.strip() not in self.said)


pass_settings = click.make_pass_decorator(Settings, ensure=True)
