"""Levels of a statement: named columns over rows, fenced so that what is computed once is not computed again."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, TypeVar

from sqlalchemy import DateTime, FromClause, Select, literal_column, select

from calibr.pricing.sql import TRUE, Expr, if_else, whole

Key = TypeVar("Key")

_NEVER_CALLED: Final = literal_column("case when false then clock_timestamp() end", DateTime)


class Fence(Enum):
    """What keeps PostgreSQL from merging a level into the one above it.

    Merged levels are ruinous: an expression is then evaluated as often as it is mentioned, so that the cost grows
    exponentially with the number of levels (measured 2026-11-24 with six: 17 to 40 s instead of 2.5 s for 1,000,000
    items). Neither fence has a cost of its own.
    """

    OFFSET = "offset 0"
    """Certain, and forbids a parallel plan, which an INSERT cannot have anyway."""

    VOLATILE = "a volatile function that is never called"
    """Allows a parallel plan (1.5 s instead of 2.5 s for a summary on two cores)."""


class Scope:
    """One level of a statement: columns by name over a FROM clause."""

    def __init__(self, rows: FromClause, where: Sequence[Expr] = (), *, fence: Fence, level: int = 0) -> None:
        self._rows = rows
        self._where = [condition for condition in where if condition is not TRUE]
        self._fence = fence
        self._level = level
        self._columns: dict[str, Expr] = {}
        self._aliases: dict[str, str] = {}

    def __getitem__(self, name: str) -> Expr:
        return self._columns[self._aliases.get(name, name)]

    def __contains__(self, name: str) -> bool:
        return name in self._columns or name in self._aliases

    def add(self, name: str, expression: Expr) -> None:
        """Name an expression over the columns of the level below; one that has a name already gets a second one."""
        first = next((known for known, column in self._columns.items() if column is expression), None)
        if first is None:
            self._columns[name] = expression
        else:
            self._aliases[name] = first

    def keep_only(self, condition: Expr) -> None:
        """Drop the rows where the condition does not hold."""
        self._where.append(condition)

    def fenced(self) -> "Scope":
        """Return the level above: the same names, each evaluated once."""
        if self._fence is Fence.OFFSET:
            statement = self.select().offset(literal_column("0"))
        else:
            statement = self.select().add_columns(_NEVER_CALLED.label("fence"))
        below = statement.subquery(f"level_{self._level}")
        above = Scope(below, fence=self._fence, level=self._level + 1)
        above._columns = {name: below.c[name] for name in self._columns}
        above._aliases = dict(self._aliases)
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
