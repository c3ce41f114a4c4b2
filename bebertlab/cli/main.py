"""The top command: options for all commands, and how errors are told."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import logging
import traceback
from pathlib import Path
from typing import Any, NoReturn

import click

from bebertlab import __version__
from bebertlab.cli.options import PathType, Settings
from bebertlab.cli.typed import typed_command
from bebertlab.errors import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, UserError
from bebertlab.redact import redact, redact_word

EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h: a defect of ours or of a plugin, not of the input

_GROUPS = ("study", "recipe", "plugin", "store", "model", "bench", "doctor")


class LazyGroup(click.Group):
    """Imports the file of a command only where the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The groups, in the order in which a user meets them."""
        return [name for name in _GROUPS if importlib.util.find_spec(f"bebertlab.cli.{name}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The group of a name, from the file of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(importlib.import_module(f"bebertlab.cli.{cmd_name}"), cmd_name)
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command and tell errors."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            said = ctx.obj.unsaid(str(error)) if isinstance(ctx.obj, Settings) else str(error)
            self.tell(ctx, self._message(ctx, error, said), error.exit_code)
        except KeyboardInterrupt:
            click.echo(f"interrupted; run again with:\n  {typed_command()}", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except click.ClickException as error:
            # it may quote a word of the command line; the attribute is final for click
            vars(error)["message"] = redact_word(error.message)
            raise
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from bebertlab.store.disk import is_disk_full

            if _is_closed_pipe(error):
                raise
            if is_disk_full(error):
                self.tell(ctx, self._message(ctx, error, _full(error)), EXIT_ENVIRONMENT)
            self.tell(ctx, self._message(ctx, error, _unexpected(error)), EXIT_INTERNAL)

    def _message(self, ctx: click.Context, error: Exception, text: str) -> str:
        """The text of an error; with --debug where it was raised, too."""
        if not ctx.params.get("debug"):
            return text
        return "".join(traceback.format_exception(error)).rstrip()

    def tell(self, ctx: click.Context, message: str, exit_code: int) -> NoReturn:
        """Print an error and end."""
        click.echo(f"error: {redact(message)}", err=True)
        ctx.exit(exit_code)


class _Messages(logging.Handler):
    """Log records to stderr, as lines among the others."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        click.echo(redact(f"{record.levelname.lower()}: {self.format(record)}"), err=True)


@click.group("bebertlab", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-p",
    "--plugin",
    "plugins",
    multiple=True,
    type=PathType(exists=True, dir_okay=False),
    help="Load a one-file plugin. Repeatable.",
)
@click.option("-v", "--verbose", count=True, help="Say more; -vv says everything.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(__version__, prog_name="bebertlab")
@click.pass_context
def main(ctx: click.Context, plugins: tuple[Path, ...], verbose: int, debug: bool) -> None:
    """Quantization and ensemble research on BERT.

    First steps: bebertlab study run studies/ensemble_ablation.yaml --smoke
    """
    ctx.obj = Settings(plugins=plugins, debug=debug, verbosity=verbose)
    logger = logging.getLogger("bebertlab")
    logger.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG))
    logger.handlers[:] = [_Messages()]
    logger.propagate = False


def _unexpected(error: Exception) -> str:
    line = next(iter(str(error).splitlines()), "")
    again = typed_command("--debug")
    return f"unexpected {type(error).__name__}: {line}\nrun again with --debug to see where: {again}"


def _full(error: Exception) -> str:
    file = getattr(error, "filename", None)
    return f"the disk is full{f': {file}' if file else ''}; free space and run the same command again"


def _is_closed_pipe(error: Exception) -> bool:
    # `bebertlab plugin list | head`: click ends quietly
    return isinstance(error, OSError) and error.errno == errno.EPIPE
