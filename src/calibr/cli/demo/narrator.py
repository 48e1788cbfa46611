"""Tells the demo: numbered sections, short sentences, tables; and measures how long each section takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.text import Text

from calibr.cli.output import Output

_WIDEST: Final = 120


@dataclass(slots=True)
class Narrator:
    """Writes the story on the page, or on standard error where a program reads the page."""

    out: Output
    seconds: dict[str, float] = field(default_factory=dict)
    _sections: int = 0
    _after_gap: bool = False

    @property
    def page(self) -> Console:
        """Where the story is written."""
        return self.out.notes if self.out.as_json else self.out.page

    @property
    def notes(self) -> Console:
        """Where bars are drawn."""
        return self.out.notes

    @property
    def width(self) -> int:
        """Columns to use: those of the page, as long as lines stay readable."""
        return min(self.page.width, _WIDEST)

    @contextmanager
    def section(self, key: str, title: str) -> Iterator[None]:
        """A numbered section; the time that it takes is kept under `key`."""
        self._sections += 1
        self.heading(Text.assemble((f"{self._sections}. ", "cyan"), (title, "bold")))
        started = time.monotonic()
        yield
        self.seconds[key] = round(self.seconds.get(key, 0) + time.monotonic() - started, 3)

    def heading(self, title: Text) -> None:
        """A title over what follows."""
        self._gap()
        self.draw(Rule(title, align="left", style="bright_black"))

    def say(self, *parts: str | tuple[str, str]) -> None:
        """A sentence, wrapped to the width."""
        self.draw(Text.assemble(*parts))

    def draw(self, *drawings: RenderableType) -> None:
        """Anything, at once."""
        for drawing in drawings:
            self.page.print(drawing, width=self.width)
        self._after_gap = False

    def show(self, *drawings: RenderableType) -> None:
        """A table or the like, set off by empty lines."""
        self._gap()
        self.draw(*drawings)
        self._gap()

    def _gap(self) -> None:
        """One empty line, never two."""
        if not self._after_gap:
            self.page.print()
        self._after_gap = True

    def good(self, sentence: str) -> None:
        """Something was proved."""
        self.say(("✓ ", "green"), sentence)

    def bad(self, sentence: str) -> None:
        """Something that should hold does not."""
        self.say(("✗ ", "bold red"), (sentence, "red"))
