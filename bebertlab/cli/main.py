"""The top command: options for all commands, and how errors are printed."""

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
from bebertlab.cli.options import PathType, Settings, typed_command
from bebertlab.errors import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, UserError
from bebertlab.redact import redact, redact_word

EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h: a bug in bebertlab or a plugin, not an error of the user

_BLOCKED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)

_GROUPS = ("study", "recipe", "plugin", "store", "model", "predict", "bench", "doctor")


class LazyGroup(click.Group):
    """Imports the module of a command only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, the most used ones first."""
        return [name for name in _GROUPS if importlib.util.find_spec(f"bebertlab.cli.{name}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, from the module of that name; `NAME_command` where the api has another NAME."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = vars(importlib.import_module(f"bebertlab.cli.{cmd_name}"))
        command = module.get(f"{cmd_name}_command") or module[cmd_name]
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command and print errors."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            text = ctx.obj.without_printed(str(error)) if isinstance(ctx.obj, Settings) else str(error)
            self.fail(ctx, self._message(ctx, error, text), error.exit_code)
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
                self.fail(ctx, self._message(ctx, error, _disk_full(error)), EXIT_ENVIRONMENT)
            if (blocked := _blocked(error)) is not None:
                self.fail(ctx, self._message(ctx, error, blocked), EXIT_ENVIRONMENT)
            self.fail(ctx, self._message(ctx, error, _unexpected(error)), EXIT_INTERNAL)

    def _message(self, ctx: click.Context, error: Exception, text: str) -> str:
        """The text of an error; with --debug its traceback."""
        if not ctx.params.get("debug"):
            return text
        return "".join(traceback.format_exception(error)).rstrip()

    def fail(self, ctx: click.Context, message: str, exit_code: int) -> NoReturn:
        """Print an error and exit."""
        click.echo(f"error: {redact(message)}", err=True)
        ctx.exit(exit_code)


class _ErrorStreamHandler(logging.Handler):
    """Prints log records to the error stream."""

    def emit(self, record: logging.LogRecord) -> None:
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
@click.option("-v", "--verbose", count=True, help="Show informative messages; -vv shows all messages.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(__version__, prog_name="bebertlab")
@click.pass_context
def main(ctx: click.Context, plugins: tuple[Path, ...], verbose: int, debug: bool) -> None:
    """Quantization and ensemble research on BERT.

    First study: bebertlab study run studies/ensemble_ablation.yaml --smoke

    Exit codes: 0 success, 1 trials failed or training diverged, 2 error in the configuration or command line,
    3 something is missing on this machine, 70 bug in bebertlab or a plugin, 130 interrupted.
    """
    ctx.obj = Settings(plugins=plugins, debug=debug, verbosity=verbose)
    logger = logging.getLogger("bebertlab")
    logger.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG))
    logger.handlers[:] = [_ErrorStreamHandler()]
    logger.propagate = False


def _unexpected(error: Exception) -> str:
    line = next(iter(str(error).splitlines()), "")
    return f"unexpected {type(error).__name__}: {line}\nshow the traceback with: {typed_command('--debug')}"


def _disk_full(error: Exception) -> str:
    file = getattr(error, "filename", None)
    return f"the disk is full{f': {file}' if file else ''}; free some space and run the same command again"


def _blocked(error: Exception) -> str | None:
    """The message for a file that permissions, a read-only disk or something in its place keep from being used."""
    if not isinstance(error, OSError) or error.errno not in _BLOCKED or error.filename is None:
        return None
    file = error.filename if error.filename2 is None else error.filename2  # of two, the one that is replaced
    return f"{file}: cannot be read or written: {error.strerror}"


def _is_closed_pipe(error: Exception) -> bool:
    # `bebertlab plugin list | head`: click exits without a message
    return isinstance(error, OSError) and error.errno == errno.EPIPE
