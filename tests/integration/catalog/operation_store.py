"""A store that is read by operations of its own, each of which shows the store as it was when it began."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from catalog_shop import Item, Store

from calibr.connectors.port import CatalogStream, Progress
from calibr.connectors.port.reading import ReadingLog


@dataclass(slots=True)
class Operation:
    name: str
    items: Sequence[Item]


@dataclass(slots=True)
class OperationStore(Store):
    """`updated` says when each group changed last; what is absent changed long ago. `dies` is called once it began."""

    operations: dict[str, Operation] = field(default_factory=dict)
    updated: dict[str, datetime] = field(default_factory=dict)
    asked_since: list[datetime | None] = field(default_factory=list)
    dies: Callable[[str], None] = lambda _moment: None
    hidden: int = 0

    def touch(self, group: str) -> None:
        self.updated[group] = datetime.now(UTC)

    def change(self, item_id: str, **fields: object) -> None:
        super(OperationStore, self).change(item_id, **fields)
        self.touch(next(item.group for item in self.items if item.id == item_id))

    def read_catalog_noted(self, work_dir: Path, progress: Progress, log: ReadingLog) -> CatalogStream:
        operation = self._resumed(log)
        if operation is None:
            begun = log.begin()
            self.asked_since.append(log.since)
            self.dies("before the start")
            number = str(len(self.operations) + 1)
            self.operations[number] = operation = Operation(begun.name, self._shown(log.since))
            self.dies("before the note")
            log.started(number)
        self.dies("after the note")
        shown, kept = list(operation.items), self.items
        self.items = shown
        try:
            return self.read_catalog(work_dir, progress)
        finally:
            self.items = kept

    def count_listings(self) -> int:
        return len(self.items) + self.hidden

    def _resumed(self, log: ReadingLog) -> Operation | None:
        if log.noted is None:
            return None
        if log.noted.operation_id is not None:
            return self.operations[log.noted.operation_id]
        found = [(number, each) for number, each in self.operations.items() if each.name == log.noted.name]
        if not found:
            return None
        log.started(found[0][0])
        return found[0][1]

    def _shown(self, since: datetime | None) -> list[Item]:
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        return [item for item in self.items if since is None or self.updated.get(item.group, long_ago) >= since]
