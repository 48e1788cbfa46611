"""Draws terminal output (ANSI, from standard input) as an SVG picture for the README.

Usage: some-command | python tools/terminal_picture.py OUT.svg [--columns N] [--title TEXT] [--lines A:B]
"""

import argparse
import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # the picture must not load a font from anywhere


def main() -> int:
    """Read, cut, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--columns", type=int, default=120)
    parser.add_argument("--title", default="calibr demo")
    parser.add_argument("--lines", default=":")
    arguments = parser.parse_args()
    first, last = (int(part) if part else None for part in arguments.lines.split(":"))
    lines = [line.rsplit("\r", 1)[-1] for line in sys.stdin.read().replace("\r\n", "\n").split("\n")]
    console = Console(record=True, width=arguments.columns, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi("\n".join(lines[first:last])))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(FONT.sub("", console.export_svg(title=arguments.title)), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
