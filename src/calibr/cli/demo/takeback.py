"""Somebody edits prices in the store by hand; then the change is rolled back without touching those."""

from typing import Any, Final

from calibr.cli.amounts import amount, counted
from calibr.cli.demo.applying import refused_approval, run
from calibr.cli.demo.scene import Scene
from calibr.cli.failures import FAILED, CliError
from calibr.cli.views.items import moved
from calibr.cli.views.table import Cell, Column, table, text
from calibr.core.currencies import MINOR_UNITS
from calibr.core.money import format_minor

Json = dict[str, Any]

_EDITS: Final = 3
_SHOWN_RESTORED: Final = 5
_RAISE: Final = 5


def edit_by_hand(scene: Scene) -> None:
    """Change up to three applied prices in the store, as somebody else would, unknown to Calibr."""
    tell = scene.narrator
    with tell.section("edits", "Meanwhile, in the store's own admin"):
        applied = _spread(scene)
        rows: list[list[Cell]] = []
        for item in applied:
            currency = str(item["currency"])
            by_hand = _other_price(item)
            number = scene.products[str(item["product_id"])].number
            scene.store.edit(number, format_minor(by_hand, currency))
            rows.append([scene.named(item), text(item["sku"]), moved(item["after"]["unit_amount"], by_hand, currency)])
        scene.measured.expected_divergence = len(applied)
        if not rows:
            tell.say("No price was applied, so there is none to edit.")
            return
        tell.say(f"Somebody edits {counted(len(rows), 'price')} by hand. Calibr is not told.")
        tell.show(table([Column("product", shrink=True), Column("SKU"), Column("price", "right")], rows))


def roll_back(scene: Scene) -> None:
    """Take the change back: a new change, written by one person and approved by another."""
    tell, people, measured = scene.narrator, scene.people, scene.measured
    with tell.section("rollback", "Roll back"):
        if not measured.applied:
            tell.say("Nothing was written, so there is nothing to take back.")
            return
        back = people.admin.api.post(f"/v1/price-changes/{scene.change['id']}/rollback")
        path = f"/v1/price-changes/{back['id']}"
        people.admin.api.post(f"{path}/submit")
        tell.say(
            "A rollback is a change like any other: planned, sealed, approved. ", (people.admin.name, "bold"),
            " asks for it, and holds every right; still:",
        )  # fmt: skip
        refused = refused_approval(scene, people.admin, back)
        measured.author_approval_refused = measured.author_approval_refused and refused
        people.approver.api.post(f"{path}/approve", {"plan_root": back["plan_root"]})
        tell.say(
            (people.approver.name, "bold"), f" approves {counted(back['summary']['to_write'], 'price')} to be restored."
        )
        scene.rollback = run(scene, people.approver, back, "restoring prices")
        counts = scene.rollback["progress"]["counts"]
        measured.restored, measured.diverged = counts.get("applied", 0), counts.get("drifted", 0)
        _tell_rows(scene, f"{path}/items")
        _check_store(scene, f"{path}/items")


def _spread(scene: Scene) -> list[Json]:
    """Up to three applied items: the first, one from the middle, and the last of those that were looked at."""
    path = f"/v1/price-changes/{scene.change['id']}/items"
    items = list(scene.people.author.api.pages(path, {"state": "applied"}, limit=400))
    if len(items) <= _EDITS:
        return items
    return [items[0], items[len(items) // 2], items[-1]]


def _other_price(item: Json) -> int:
    """A price that is neither the old nor the new one."""
    step: int = 10 ** MINOR_UNITS[str(item["currency"])]
    price = int(item["after"]["unit_amount"]) + _RAISE * step
    return price + step if price == item["before"]["unit_amount"] else price


def _tell_rows(scene: Scene, path: str) -> None:
    tell, measured = scene.narrator, scene.measured
    api = scene.people.approver.api
    diverged = list(api.pages(path, {"state": "drifted"}, limit=20))
    restored = list(api.pages(path, {"state": "applied"}, limit=_SHOWN_RESTORED))
    columns = [Column("product", shrink=True), Column("restored", "right"), Column("outcome")]
    rows: list[list[Cell]] = [_outcome(scene, item) for item in (*diverged, *restored)]
    tell.show(table(columns, rows))
    more = measured.restored - len(restored)
    if more > 0:
        tell.say((f"and {more:,} more restored", "bright_black"))
    tell.good(f"{measured.restored:,} restored, {measured.diverged:,} diverged: what somebody else set was left alone.")


def _outcome(scene: Scene, item: Json) -> list[Cell]:
    currency = str(item["currency"])
    before, after = item["before"]["unit_amount"], item["after"]["unit_amount"]
    if item["state"] != "drifted":
        return [scene.named(item), moved(before, after, currency), "restored"]
    seen = item["observed"]
    shows = amount(seen["unit_amount"], currency) if seen else "another price"
    return [scene.named(item), moved(before, after, currency), f"left alone: the store shows {shows}"]


def _check_store(scene: Scene, path: str) -> None:
    """Compare the store with what was there before the change; the edited prices are the only ones to differ."""
    shown = scene.store.prices(scene.currency)
    diverged = {
        scene.products[str(item["product_id"])].number
        for item in scene.people.approver.api.pages(path, {"state": "drifted"})
    }
    wrong = [n for n, price in scene.earlier.items() if n not in diverged and shown.get(n) != price]
    if wrong:
        raise CliError(f"{len(wrong):,} prices are not what they were before, such as variant {wrong[0]}", FAILED)
    scene.narrator.good(
        f"Read again, the store shows its first prices, but for {counted(len(diverged), 'diverged one')}."
    )
