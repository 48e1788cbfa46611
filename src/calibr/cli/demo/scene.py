"""What the sections of the demo share: the wish, the processes, the people, and what was measured so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calibr.cli.client import Client
from calibr.cli.demo.narrator import Narrator
from calibr.cli.demo.processes import Launched, Processes
from calibr.cli.demo.store_check import Shown, StoreReader


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller asked for."""

    leave: bool
    catalog: Path | None
    products: int
    plan: str
    seed: int


@dataclass(frozen=True, slots=True)
class Person:
    """A user with a token, and the client that speaks for them."""

    name: str
    role: str
    token: str = field(repr=False)
    api: Client = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cast:
    """An admin who set the tenant up, an author, and an approver."""

    admin: Person
    author: Person
    approver: Person
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Product:
    """What the demo keeps of a product: how to find it in the store, and how to show it."""

    number: str
    options: str
    unit_cost: int | None


@dataclass(slots=True)
class Measured:
    """What the demo reports. Every number is measured; none is assumed."""

    ingested: int = 0
    previewed: dict[str, int] = field(default_factory=dict)
    author_approval_refused: bool = False
    applied: int = 0
    store_matches_plan: bool = False
    restored: int = 0
    diverged: int = 0
    events: int = 0
    unaudited_changes: int = 0
    expected_divergence: int = 0

    @property
    def holds(self) -> bool:
        """Whether everything came out as it must."""
        return (
            self.author_approval_refused
            and self.store_matches_plan
            and self.diverged == self.expected_divergence
            and self.restored == self.applied - self.diverged
            and self.unaudited_changes == 0
        )

    def document(self, seconds: Mapping[str, float]) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            "ingested": self.ingested,
            "previewed": self.previewed,
            "author_approval_refused": self.author_approval_refused,
            "applied": self.applied,
            "store_matches_plan": self.store_matches_plan,
            "rolled_back": {"restored": self.restored, "diverged": self.diverged},
            "events": self.events,
            "unaudited_changes": self.unaudited_changes,
            "seconds": dict(seconds),
        }


@dataclass(slots=True)
class Scene:
    """Where the story stands. Sections fill it from top to bottom."""

    wish: Wish
    narrator: Narrator
    processes: Processes
    measured: Measured = field(default_factory=Measured)
    server: Launched | None = None
    sandbox: Launched | None = None
    store: StoreReader = field(default_factory=lambda: StoreReader("", ""))
    cast: Cast | None = None
    currency: str = ""
    products: dict[str, Product] = field(default_factory=dict)
    tags: list[tuple[str, int]] = field(default_factory=list)
    earlier: dict[str, Shown] = field(default_factory=dict)
    change: dict[str, Any] = field(default_factory=dict)
    rollback: dict[str, Any] | None = None

    def close(self) -> None:
        """Give the connections of the people back."""
        for person in (self.cast.admin, self.cast.author, self.cast.approver) if self.cast else ():
            person.api.close()

    def named(self, item: Mapping[str, Any]) -> str:
        """What a person calls the product of an item: its title and options."""
        product = self.products[str(item["product_id"])]
        return " ".join(part for part in (item["title"] or "", product.options) if part)

    @property
    def people(self) -> Cast:
        """The cast, once it is there."""
        if self.cast is None:
            raise RuntimeError("the people come on before anybody acts")
        return self.cast
