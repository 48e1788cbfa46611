"""Approval by a second person, the apply run, and the proof that the store shows the plan."""

from typing import Any

from calibr.cli.amounts import counted
from calibr.cli.commands.changes.reference import RUNNING
from calibr.cli.demo.scene import Person, Scene
from calibr.cli.demo.store_check import compare, read_plan
from calibr.cli.failures import FAILED, ApiRefusal, CliError
from calibr.cli.histogram import FLAT
from calibr.cli.plan_root import root_of
from calibr.cli.progress import Point, follow

Json = dict[str, Any]

_FORBIDDEN = 403
_SHOWN_DIFFERENCES = 5


def approve(scene: Scene) -> None:
    """The author submits and cannot approve; another person recomputes the root and approves exactly that plan."""
    tell, people = scene.narrator, scene.people
    with tell.section("approval", "Approval by a second person"):
        path = f"/v1/price-changes/{scene.change['id']}"
        root = str(scene.change["plan_root"])
        people.author.api.post(f"{path}/submit")
        tell.say((people.author.name, "bold"), " submits the change, and tries to approve it too:")
        refused = refused_approval(scene, people.author, scene.change)
        still = people.author.api.get(path)
        scene.measured.author_approval_refused = (
            refused and still["state"] == "submitted" and still["approved_by"] is None
        )
        computed = root_of(people.approver.api.lines(f"{path}/plan.txt"))
        tell.say((people.approver.name, "bold"), " downloads the sealed rows and recomputes their Merkle root:")
        tell.say((f"  {computed}", "cyan"))
        if computed != root:
            raise CliError(f"the rows have the root {computed}, but the plan is known by {root}", FAILED)
        people.approver.api.post(f"{path}/approve", {"plan_root": root})
        tell.good(f"It is the plan's own root. {people.approver.name} approves this plan and no other.")


def refused_approval(scene: Scene, person: Person, change: Json) -> bool:
    """Try to approve as `person`, show the refusal, and say whether it was one."""
    try:
        person.api.post(f"/v1/price-changes/{change['id']}/approve", {"plan_root": change["plan_root"]})
    except ApiRefusal as refusal:
        told = _named(scene, change, refusal.message)
        scene.narrator.say(("  ✗ ", "red"), (f"{refusal.status} {refusal.code}: ", "red"), told)
        return refusal.status == _FORBIDDEN
    scene.narrator.bad(f"{person.name} could approve their own change")
    return False


def _named(scene: Scene, change: Json, message: str) -> str:
    """The server's sentence with names for the ids that the reader has met."""
    known = {**scene.people.names, str(change["id"]): str(change["name"])}
    for identity, name in known.items():
        message = message.replace(identity, name)
    return message


def apply(scene: Scene) -> None:
    """Write the plan to the store."""
    with scene.narrator.section("apply", "Apply"):
        scene.change = run(scene, scene.people.approver, scene.change, "writing to the store")
        counts = scene.change["progress"]["counts"]
        scene.measured.applied = counts.get("applied", 0)
        tell_throttle(scene)


def run(scene: Scene, person: Person, change: Json, label: str) -> Json:
    """Apply an approved change and follow it to its end."""
    path = f"/v1/price-changes/{change['id']}"
    last: Json = person.api.post(f"{path}/apply")

    def look() -> Point:
        nonlocal last
        last = person.api.get(path)
        progress = last["progress"]
        drifted = progress["counts"].get("drifted", 0)
        return Point(progress["done"], progress["to_write"], last["state"] not in RUNNING, f"{drifted} drifted")

    follow(scene.narrator.notes, label, look)
    if last["state"] == "paused" or last["error"]:
        raise CliError(f"the run is {last['state']}: {(last['error'] or {}).get('message', 'no reason given')}", FAILED)
    counts = last["progress"]["counts"]
    told = ", ".join(f"{counts.get(s, 0):,} {s}" for s in ("applied", "drifted", "rejected", "skipped"))
    scene.narrator.say("The run ended as ", (str(last["state"]).replace("_", " "), "bold"), f": {told}.")
    return last


def tell_throttle(scene: Scene) -> None:
    """What the store counted: its own numbers, not ours."""
    stats = scene.store.stats()
    written = counted(stats["accepted_variant_writes"], "price")
    told = f"{written} written, {stats['points_spent']:,} points spent, {counted(stats['throttled'], 'call')} throttled"
    scene.narrator.say((f"By the store's own counters: {told}.", FLAT))


def verify(scene: Scene) -> None:
    """Read the store over its own API, past the engine and its connector, and compare every row of the plan."""
    tell = scene.narrator
    with tell.section("verify", "Is it really in the store?"):
        tell.say("The store is read again over its own Admin API, and every price is compared with plan.txt.")
        shown = scene.store.prices(scene.currency)
        lines = scene.people.approver.api.lines(f"/v1/price-changes/{scene.change['id']}/plan.txt")
        listings = {identity: product.number for identity, product in scene.products.items()}
        found = compare(read_plan(lines), listings, shown, scene.earlier)
        scene.measured.store_matches_plan = found.matches
        if found.matches:
            rows = counted(found.compared, "row")
            tell.good(f"The store shows the plan: {rows} compared, price and compare-at, none differs.")
            tell.good(f"Nothing else moved: {counted(found.untouched, 'other price')} compared.")
        for number in found.differing[:_SHOWN_DIFFERENCES]:
            tell.bad(f"variant {number} shows {shown.get(number)}, which is not what was planned")
        for number in found.moved_outside[:_SHOWN_DIFFERENCES]:
            tell.bad(
                f"variant {number} is not in the plan, and moved from {scene.earlier[number]} to {shown.get(number)}"
            )
