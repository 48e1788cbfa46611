"""The audit trail: who did what, and a count that every price that moved has exactly one event."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from rich.padding import Padding

from calibr.cli.amounts import counted
from calibr.cli.demo.scene import Scene
from calibr.cli.histogram import FLAT
from calibr.cli.views.audit import audit_table

Json = dict[str, Any]
Key = tuple[str, str, str]

_STORY: Final = frozenset({"price_change", "connection", "sync"})
_LINES: Final = 24


def audit(scene: Scene) -> None:
    """Show the trail without the events of single items, then one product's own story, then count."""
    tell = scene.narrator
    with tell.section("audit", "The audit trail"):
        told: list[Json] = []
        events: Counter[Key] = Counter()
        kinds: Counter[str] = Counter()
        stories: dict[str, list[Json]] = {}
        for entry in scene.people.approver.api.pages("/v1/audit"):
            kinds[str(entry["action"])] += 1
            if entry["entity"] in _STORY:
                told.append(entry)
            if entry["action"] == "price.changed":
                events[_key(entry["explain"])] += 1
            if entry["entity"] == "product":
                stories.setdefault(str(entry["entity_id"]), []).append(entry)
        scene.measured.events = kinds.total()
        tell.show(audit_table(told[-_LINES:], scene.people.names, width=tell.width))
        _tell_one(scene, stories)
        _count(scene, events, kinds)


def _tell_one(scene: Scene, stories: dict[str, list[Json]]) -> None:
    """The story of a product that somebody edited, or else of any."""
    edited = [story for story in stories.values() if any(e["action"].endswith("drifted") for e in story)]
    story = next(iter([*edited, *stories.values()]), None)
    if story is not None:
        scene.narrator.say(("One product, from its own events:", FLAT))
        drawn = audit_table(story, scene.people.names, width=scene.narrator.width)
        scene.narrator.show(Padding(drawn, (0, 0, 0, 2)))


def _count(scene: Scene, events: Counter[Key], kinds: Counter[str]) -> None:
    applied = Counter(_applied(scene))
    unaudited = sum(events[key] != 1 for key in applied)
    unplanned = sum(key not in applied for key in events)
    scene.measured.unaudited_changes = unaudited + unplanned
    tell = scene.narrator
    tell.say(
        f"{kinds.total():,} events in the log, {kinds['price.changed']:,} of them price.changed; "
        f"the store itself counted {scene.store.stats()['accepted_variant_writes']:,} prices written through its API."
    )
    if scene.measured.unaudited_changes:
        tell.bad(f"{unaudited:,} applied items lack exactly one event, {unplanned:,} events belong to no applied item")
    else:
        items = counted(len(applied), "applied item")
        tell.good(f"{items}, each with exactly one price.changed event: 0 unaudited changes.")


def _applied(scene: Scene) -> Iterator[Key]:
    for change in (scene.change, scene.rollback):
        if change is None:
            continue
        path = f"/v1/price-changes/{change['id']}/items"
        for item in scene.people.approver.api.pages(path, {"state": "applied"}):
            yield str(change["id"]), str(item["price_list_id"]), str(item["product_id"])


def _key(payload: Json) -> Key:
    return str(payload["change_id"]), str(payload["price_list_id"]), str(payload["product_id"])
