"""Reading a catalog by an operation that the store works through on its own time.

Such a reading outlives the worker that began it: what it is at the store is noted, so that whoever takes over goes on
with the same operation. It can also be limited to what changed lately.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from calibr.connectors.port import CatalogStream, Progress


@dataclass(frozen=True, slots=True)
class ReadingOperation:
    """An operation as it is noted: under a name of its own before the store hears of it, with its id once known.

    `begun_at` is a time of the database.
    """

    name: str
    begun_at: datetime
    operation_id: str | None = None


class ReadingLog(Protocol):
    """What is noted of one reading. Its calls commit at once; they raise Conflict when another worker has the reading.

    `noted` is the last operation, perhaps begun by a worker that is gone. `since` limits the reading to what changed in
    the store since then; None reads everything.
    """

    noted: ReadingOperation | None
    since: datetime | None

    def begin(self) -> ReadingOperation:
        """Note a new operation, which takes the place of the last one."""
        ...

    def started(self, operation_id: str) -> None:
        """Note how the store calls the operation that was begun."""
        ...


@runtime_checkable
class ReadsByOperation(Protocol):
    """A connector that can go on with another worker's reading, and read only what changed."""

    def read_catalog_noted(self, work_dir: Path, progress: Progress, log: ReadingLog) -> CatalogStream:
        """Read the catalog, or what changed in it; go on with the noted operation where the store still has it.

        A group of which anything changed comes whole, with all of its listings.
        """
        ...

    def count_listings(self) -> int:
        """How many listings the store has now."""
        ...


class Unnoted:
    """A `ReadingLog` for a reading that nobody takes over."""

    def __init__(self, name: str, begun_at: datetime) -> None:
        """Read everything, in operations that all have this name."""
        self.noted: ReadingOperation | None = None
        self.since: datetime | None = None
        self._operation = ReadingOperation(name, begun_at)

    def begin(self) -> ReadingOperation:
        """Forget the last operation."""
        self.noted = self._operation
        return self.noted

    def started(self, operation_id: str) -> None:
        """Keep the id for as long as this reading lasts."""
        self.noted = ReadingOperation(self._operation.name, self._operation.begun_at, operation_id)
