"""What can go wrong for a person at the command line, the lines that say so, and the exit codes.

2: the input is bad or was refused; 1: something failed; 130: Ctrl-C; 143: SIGTERM.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from calibr.core.errors import CalibrError, Fault, Invalid

FAILED: Final = 1
REFUSED: Final = 2
INTERRUPTED: Final = 130
TERMINATED: Final = 143

_SERVER_ERROR: Final = 500


@dataclass(eq=False)
class CliError(Exception):
    """An expected end of a command: the sentence for the person, and the exit code."""

    message: str
    exit_code: int = REFUSED
    code: str = "cli.refused"
    faults: tuple[Fault, ...] = field(default=())

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class ApiRefusal(CliError):
    """The API answered with a problem document (RFC 9457)."""

    status: int = 0
    title: str = ""


@dataclass(eq=False)
class Unreachable(CliError):
    """Nobody answers at the address."""

    exit_code: int = FAILED
    code: str = "cli.unreachable"


def from_problem(status: int, problem: dict[str, object]) -> ApiRefusal:
    """Turn a problem document into the error of the command. Fields that are missing or odd are left out."""
    faults = problem.get("faults")
    detail = problem.get("detail") or problem.get("title") or f"the server answered {status}"
    return ApiRefusal(
        str(detail),
        exit_code=FAILED if status >= _SERVER_ERROR else REFUSED,
        code=str(problem.get("code") or f"http.{status}"),
        faults=tuple(_faults(faults if isinstance(faults, list) else [])),
        status=status,
        title=str(problem.get("title") or ""),
    )


def from_domain(error: CalibrError) -> CliError:
    """The same for an error of our own parts, raised in this process."""
    return CliError(error.message, REFUSED if isinstance(error, Invalid) else FAILED, error.code, faults=error.faults)


def lines_of(error: CliError) -> list[str]:
    """Lines for a person: the sentence, or the first fault where faults say more, then one line per further fault."""
    if not error.faults:
        return [f"error: {error.message}"]
    first, *others = error.faults
    return [f"error: {_line(first)}", *(f"       {_line(fault)}" for fault in others)]


def document_of(error: CliError) -> dict[str, object]:
    """What `--json` prints instead of a result."""
    return {
        "error": {
            "code": error.code,
            "detail": error.message,
            "status": error.status if isinstance(error, ApiRefusal) else None,
            "faults": [{"path": f.path, "value": f.value, "rule": f.rule, "code": f.code} for f in error.faults],
        }
    }


def _line(fault: Fault) -> str:
    given = "" if fault.value is None else f"{fault.value} "
    path = fault.path.removeprefix("$.")
    return f"{path}: {given}{fault.rule}" if path else f"{given}{fault.rule}"


def _faults(raw: list[object]) -> Iterator[Fault]:
    for item in raw:
        if isinstance(item, dict) and item.get("rule"):
            value = item.get("value")
            yield Fault(
                str(item.get("path") or ""),
                None if value is None else str(value),
                str(item["rule"]),
                str(item.get("code") or "schema"),
            )
