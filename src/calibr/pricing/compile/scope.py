"""Levels of a statement: named columns over rows, fenced so that what is computed once is not computed again."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import FromClause, Select, literal_column, select

from calibr.pricing.sql import TRUE, Expr, if_else, whole

Key = TypeVar("Key")


class Scope:
    """One level: columns by name over a FROM clause.

    PostgreSQL inlines a sub-select and evaluates an expression as often as it is mentioned, unless the sub-select has
    an OFFSET. `OFFSET 0` costs nothing (no node executes it) and is the fence.
    """

    def __init__(self, rows: FromClause, where: Sequence[Expr] = (), level: int = 0) -> None:
        self._rows = rows
        self._where = [condition for condition in where if condition is not TRUE]
        self._level = level
        self._columns: dict[str, Expr] = {}

    def __getitem__(self, name: str) -> Expr:
        return self._columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def add(self, name: str, expression: Expr) -> None:
        """Name an expression over the columns of the level below."""
        self._columns[name] = expression

    def keep_only(self, condition: Expr) -> None:
        """Drop the rows where the condition does not hold."""
        self._where.append(condition)

    def fenced(self) -> "Scope":
        """Return the level above: the same names, each evaluated once."""
        below = self.select().offset(literal_column("0")).subquery(f"level_{self._level}")
        above = Scope(below, level=self._level + 1)
        for name in self._columns:
            above.add(name, below.c[name])
        return above

    def select(self, **columns: Expr) -> Select[tuple[object, ...]]:
        """Select the given columns, or all that have a name."""
        chosen = columns or self._columns
        labeled = [expression.label(name) for name, expression in chosen.items()]
        return select(*labeled).select_from(self._rows).where(*self._where)


def by_branch(branch: Expr, keys: Sequence[Key], build: Callable[[Key], Expr]) -> Expr:
    """What `build` makes of the key of the branch that decides an item; branches with equal keys share it.

    A balanced tree of comparisons, so that fifty branches cost six of them.
    """
    if all(key == keys[0] for key in keys):
        return build(keys[0])
    return _tree(branch, list(enumerate(keys)), build)


def _tree(branch: Expr, keyed: list[tuple[int, Key]], build: Callable[[Key], Expr]) -> Expr:
    if all(key == keyed[0][1] for _, key in keyed):
        return build(keyed[0][1])
    middle = len(keyed) // 2
    low, high = keyed[:middle], keyed[middle:]
    return if_else(branch < whole(high[0][0]), _tree(branch, low, build), _tree(branch, high, build))
