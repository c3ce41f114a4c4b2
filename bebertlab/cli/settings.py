"""What the options before the command say; every command receives it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import field, frozen

if TYPE_CHECKING:
    from bebertlab.manager import Plugins


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
        from bebertlab.manager import load_plugins

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
