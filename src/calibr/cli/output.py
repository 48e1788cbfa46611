"""Where a command writes: one JSON document or tables on standard output, everything else on standard error."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Annotated, Final

import orjson
from rich.console import Console
from rich.text import Text
from typer import Option

Document = Mapping[str, object] | Sequence[object]

_PIPE_WIDTH: Final = 200
"""Columns when nobody says how wide the reader is: a table takes only what it needs, and nothing is cut off."""


def console(stream: IO[str], *, width: int | None = None) -> Console:
    """A console on `stream`: colors only on a terminal and without NO_COLOR, as wide as the terminal or COLUMNS."""
    if width is None and not stream.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        width = _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False, markup=False)


@dataclass(slots=False)
class Output:
    """The two streams of a command, and whether a program reads the first one."""

    as_json: Annotated[bool, Option("--json", help="Print one JSON document and nothing else on standard output.")] = (
        field(default=False)
    )

    @cached_property
    def page(self) -> Console:
        """Standard output for people."""
        return console(sys.stdout)

    @cached_property
    def notes(self) -> Console:
        """Standard error: progress, remarks, errors."""
        return console(sys.stderr)

    def result(self, document: Document, show: Callable[[Console], None]) -> None:
        """Give the result of the command: `document` to a program, what `show` draws to a person."""
        if self.as_json:
            print_json(document)
        else:
            show(self.page)

    def line(self, document: Document, shown: Text) -> None:
        """Give one of many results as it comes: a line of JSON to a program, `shown` to a person."""
        if self.as_json:
            sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
            sys.stdout.buffer.flush()
        else:
            self.page.print(shown, soft_wrap=True)


def print_json(document: Document) -> None:
    """Print one JSON document, indented, in UTF-8 whatever the locale says."""
    data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
