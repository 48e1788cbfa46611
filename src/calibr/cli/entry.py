"""Assembles the command line and turns whatever ends a command into a line for the person and an exit code."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

import stamina
import stamina.instrumentation
import typer
from typer.main import get_command

from calibr.cli import commands, signals
from calibr.cli.failures import (
    FAILED,
    INTERRUPTED,
    REFUSED,
    TERMINATED,
    CliError,
    document_of,
    from_domain,
    lines_of,
)
from calibr.cli.output import print_json
from calibr.core.errors import CalibrError

_BROKEN_PIPE = 141


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Errors become one line each; nobody sees a stack trace."""
    stamina.instrumentation.set_on_retry_hooks([])  # the default hook prints to standard output
    signals.install()
    try:
        code = get_command(commands.build(_version_option)).main(
            list(arguments), prog_name="calibr", standalone_mode=False
        )
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except signals.Terminated:
        return TERMINATED
    except BrokenPipeError:
        # The reader has gone (`| head`): point the stream elsewhere, so that the interpreter's last flush is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as error:
        if os.environ.get("CALIBR_DEBUG"):
            raise
        return _explain(_expected(error), arguments)
    return code if isinstance(code, int) else 0


def _expected(error: Exception) -> CliError | None:
    """The error as one of the command line; None for a command that only showed its help."""
    match error:
        case CliError():
            return error
        case CalibrError():
            return from_domain(error)
        case typer.TyperException():
            return _usage(error)
        case OSError():
            return CliError(str(error), FAILED, "cli.system")
        case _:
            told = f"unexpected {type(error).__name__}: {error} (CALIBR_DEBUG=1 shows where; please report it)"
            return CliError(told, FAILED, "cli.unexpected")


def _explain(error: CliError | None, arguments: Sequence[str]) -> int:
    if error is None:
        return REFUSED
    for line in lines_of(error):
        print(line, file=sys.stderr)
    if "--json" in arguments:
        print_json(document_of(error))
    return error.exit_code


def _usage(error: typer.TyperException) -> CliError | None:
    """A mistake in the words of the command itself; None where a group without a command showed its help."""
    message = error.format_message().rstrip(".").replace("Value error, ", "")
    if not message:
        return None
    context = getattr(error, "ctx", None)
    where = f" (see `{context.command_path} --help`)" if context is not None else ""
    return CliError(f"{message[0].lower()}{message[1:]}{where}", REFUSED, "cli.usage")


def _version_option(value: bool) -> None:
    if value:
        print(f"calibr {version('calibr')}")
        raise typer.Exit
