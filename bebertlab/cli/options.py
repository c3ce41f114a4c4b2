"""Options, arguments and output that several commands share."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import field, frozen

from bebertlab.errors import UserError
from bebertlab.locations import expand_home
from bebertlab.redact import redact_word

if TYPE_CHECKING:
    from bebertlab.config.codec import OptionsCodec
    from bebertlab.registry.manager import Plugins

SHORT_KEY = 12  #: digits of a key in tables


class PathType(click.Path):
    """A path of the command line or of a variable; `~` is the home folder (shells do not expand `--work=~/x`)."""

    def __init__(
        self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True, allow_dash: bool = False
    ) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, allow_dash=allow_dash, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Convert the text of the command line."""
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
    help="Folder for stages, studies, reports and the MLflow database.",
)
set_option = click.option(
    "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Override an option of the file. Repeatable."
)
device_option = click.option(
    "--device", default="cpu", show_default=True, help="Device that stages run on, e.g. cuda or cuda:1."
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Threads of torch; results depend on it, so it is part of every key.",
)
save_state_option = click.option(
    "--save-state-minutes",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    metavar="MINUTES",
    help="Save the state of a training this often, so that it continues after a kill; 0: never.",
)
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Format of the output.",
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, the last one without padding.

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


def typed_command(*options: str) -> str:
    """The current command line for pasting into a shell, with more options of the top command; without passwords."""
    return shlex.join(["bebertlab", *options, *map(redact_word, sys.argv[1:])])


@frozen(kw_only=True)
class Settings:
    """The options of the top command."""

    plugins: tuple[Path, ...] = ()  #: one-file plugins
    debug: bool = False  #: show tracebacks
    verbosity: int = 0  #: 1: informative messages, 2: all messages
    printed: list[str] = field(factory=list)  #: failures of plugins that were printed

    def load(self, files: Iterable[Path] = (), *, quiet: bool = False) -> Plugins:
        """Load the installed plugins, those of `-p` and `files`; a warning names each that failed, unless `quiet`.

        Raises:
            UserError: a file does not exist.
        """
        from bebertlab.registry.manager import load_plugins

        plugins = load_plugins([*self.plugins, *files])
        for failure in plugins.failures:
            if str(failure) in self.printed:
                continue
            if not quiet:
                click.echo(f"warning: {failure}", err=True)
                self.printed.append(str(failure))
            if self.debug and failure.traceback:
                click.echo(failure.traceback, err=True)
        return plugins

    def codec(self) -> OptionsCodec:
        """Reads and writes options of the plugins of `load`."""
        from bebertlab.config.codec import OptionsCodec

        return OptionsCodec(self.load().registry)

    def without_printed(self, message: str) -> str:
        """A message without the failures of plugins that were printed before."""
        return "\n".join(line for line in message.splitlines() if line.strip() not in self.printed)


pass_settings = click.make_pass_decorator(Settings, ensure=True)
