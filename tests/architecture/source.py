"""The parsed source tree, once for all architecture tests, and the named escape from a rule.

A line that must break a rule says so: `# arch: allow <rule>: <reason>` on the line itself.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
ESCAPE = re.compile(r"# arch: allow (?P<rule>[a-z-]+): \S")


@dataclass(frozen=True, slots=True)
class Module:
    """One source file: its path below `src/`, text and tree."""

    path: str
    text: str
    tree: ast.Module

    def allows(self, rule: str, line: int) -> bool:
        """Whether the line carries the escape for `rule`."""
        match = ESCAPE.search(self.text.splitlines()[line - 1])
        return bool(match) and match["rule"] == rule


@cache
def modules() -> tuple[Module, ...]:
    """All Python files of the product and of the sandbox store, migrations left out."""
    found = [p for p in sorted(SRC.rglob("*.py")) if "migrations/versions" not in p.as_posix()]
    return tuple(parse(p.relative_to(SRC).as_posix(), p.read_text("utf-8")) for p in found)


def parse(path: str, text: str) -> Module:
    """Parse one file."""
    return Module(path, text, ast.parse(text))
