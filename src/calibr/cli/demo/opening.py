"""The first sections: processes start, people get their tokens, the store is connected and its catalog read."""

from collections.abc import Sequence
from typing import Any, Final

from rich.text import Text

from calibr.cli.amounts import counted
from calibr.cli.client import Client
from calibr.cli.commands.catalog import options_of
from calibr.cli.demo.processes import run_once
from calibr.cli.demo.scene import Cast, Person, Product, Scene
from calibr.cli.demo.store_check import StoreReader
from calibr.cli.failures import FAILED, REFUSED, CliError
from calibr.cli.progress import Point, follow
from calibr.cli.views.table import Column, table

ACCESS_TOKEN: Final = "shpat_sandbox"  # noqa: S105 - the well-known token of a store that holds no secrets
TENANT: Final = "Demo shop"
ADMIN, AUTHOR, APPROVER = "Ada", "Arlo", "Petra"
CONNECTION: Final = "demo-store"
_SHOWN_SKIPPED: Final = 20


def start(scene: Scene) -> None:
    """Start a store and a server, each a process of its own."""
    tell = scene.narrator
    with tell.section("start", "A store and a server"):
        wish = scene.wish
        filled = (
            ["--csv", str(wish.catalog)]
            if wish.catalog
            else ["--products", str(wish.products), "--seed", str(wish.seed)]
        )
        place = scene.processes.place
        scene.sandbox = scene.processes.launch(
            "sandbox store",
            ["calibr_sandbox", "serve", "--db", str(place.store_file), "--plan", wish.plan, *filled],
        )
        scene.server = scene.processes.launch(
            "server",
            ["calibr", "serve", "--json", "--port", "0", "--data-dir", str(place.data_dir)],
            {"CALIBR_ALLOW_LOOPBACK_STORES": "true"},
        )
        loaded = scene.sandbox.await_ready().get("loaded")
        scene.store = StoreReader(scene.sandbox.url, ACCESS_TOKEN)
        _tell_loaded(scene, loaded or {})
        scene.server.await_ready()
        tell.say("The server runs at ", (scene.server.url, "bold"), " with a PostgreSQL of its own.")
        tell.say((f"All of it lives in {place.root}, which is removed at the end.", "bright_black"))


def introduce(scene: Scene) -> None:
    """A tenant with three people, so that nobody approves what they wrote themselves."""
    tell = scene.narrator
    with tell.section("people", "Three people"):
        place = scene.processes.place
        made = run_once(
            ["calibr", "tenant", "create", TENANT, "--admin", ADMIN, "--json", "--data-dir", str(place.data_dir)]
        )
        url = scene.server.url if scene.server else ""
        admin = Person(ADMIN, "admin", made["token"], Client(url, made["token"]))
        names = {str(made["user_id"]): ADMIN}
        author = _employ(admin, AUTHOR, "author", names)
        approver = _employ(admin, APPROVER, "approver", names)
        scene.cast = Cast(admin, author, approver, names)
        rows = [[person.name, person.role, _rights(person)] for person in (admin, author, approver)]
        tell.show(table([Column("who"), Column("role"), Column("may", shrink=True)], rows))


def ingest(scene: Scene) -> None:
    """Connect the store and read its catalog."""
    tell, api = scene.narrator, scene.people.author.api
    with tell.section("ingest", "Connect the store and read its catalog"):
        body = {
            "kind": "shopify",
            "name": CONNECTION,
            "config": {"shop_url": scene.store.url},
            "secrets": {"access_token": ACCESS_TOKEN},
        }
        connection = api.post("/v1/connections", body)
        checked = api.post(f"/v1/connections/{connection['id']}/check")
        health = checked["health"] or {}
        if not health.get("ok"):
            raise CliError(f"the store is not well: {'; '.join(health.get('problems') or ['no answer'])}", FAILED)
        tell.say(
            "The store answers: ",
            (str(health["store_name"]), "bold"),
            f", {health['currency']}, Admin API {health['api_version']}.",
        )
        run = _sync(scene, str(connection["id"]))
        _remember_catalog(scene)
        scene.measured.ingested = len(scene.products)
        known = sum(product.unit_cost is not None for product in scene.products.values())
        tell.good(f"{counted(len(scene.products), 'product')} ingested, {known:,} with a known cost.")
        _tell_findings(scene, str(run["id"]))
        scene.earlier = scene.store.prices(scene.currency)


def _employ(admin: Person, name: str, role: str, names: dict[str, str]) -> Person:
    user = admin.api.post("/v1/users", {"name": name, "role": role})
    names[str(user["id"])] = name
    token = str(admin.api.post("/v1/tokens", {"name": "demo", "user_id": user["id"]})["token"])
    return Person(name, role, token, Client(admin.api.url, token))


def _rights(person: Person) -> str:
    scopes = person.api.get("/v1/me")["token"]["scopes"]
    own = [
        scope.removeprefix("changes:") for scope in scopes if scope.startswith("changes:") and scope != "changes:read"
    ]
    return "everything" if person.role == "admin" else f"{', '.join(own)} price changes"


def _sync(scene: Scene, connection_id: str) -> dict[str, Any]:
    api = scene.people.author.api
    run = api.post(f"/v1/connections/{connection_id}/syncs")

    def look() -> Point:
        run.update(api.get(f"/v1/syncs/{run['id']}"))
        over = run["state"] in {"completed", "failed"}
        return Point(int(run["rows_read"]), run["rows_total"], over, str(run["stage"]))

    follow(scene.narrator.notes, "reading the catalog", look)
    if run["state"] == "failed":
        raise CliError(f"the catalog could not be read: {run['error']}", FAILED)
    return run


def _remember_catalog(scene: Scene) -> None:
    api = scene.people.author.api
    lists = [row for row in api.pages("/v1/price-lists") if row["is_base"]]
    scene.currency = str(lists[0]["currency"])
    for row in api.pages("/v1/products"):
        cost = row["cost"]
        listing = row["channel_refs"][0]
        scene.products[str(row["id"])] = Product(
            number=str(listing["external_id"]),
            options=options_of(row),
            unit_cost=cost["unit_cost"] if cost and cost["currency"] == scene.currency else None,
        )
    scene.tags = [(str(row["value"]), int(row["count"])) for row in api.pages("/v1/facets/tags", limit=3)]


def _tell_loaded(scene: Scene, loaded: dict[str, Any]) -> None:
    tell = scene.narrator
    if not loaded.get("variants"):
        raise CliError(f"--catalog: {scene.wish.catalog} holds no product that can be loaded", REFUSED)
    source = str(scene.wish.catalog) if scene.wish.catalog else f"a generated catalog (seed {scene.wish.seed})"
    counts = f"{counted(loaded.get('variants', 0), 'variant')} of {counted(loaded.get('products', 0), 'product')}"
    tell.say(
        "A sandbox store runs at ", (scene.store.url, "bold"), f" with {source}: {counts}, plan {scene.wish.plan}."
    )
    if scene.wish.catalog is None:
        return
    skipped: Sequence[dict[str, Any]] = loaded.get("skipped") or []
    if not skipped:
        tell.say("No row of the file had to be skipped.")
        return
    rows = [[f"{row['line']:,}", str(row["reason"])] for row in skipped[:_SHOWN_SKIPPED]]
    tell.say((f"{counted(len(skipped), 'row')} of the file skipped:", "yellow"))
    tell.show(table([Column("line", "right"), Column("reason", shrink=True)], rows))
    if len(skipped) > _SHOWN_SKIPPED:
        tell.say(f"and {len(skipped) - _SHOWN_SKIPPED:,} more")


def _tell_findings(scene: Scene, sync_id: str) -> None:
    found = list(scene.people.author.api.pages(f"/v1/syncs/{sync_id}/findings", limit=5))
    for row in found:
        scene.narrator.show(Text(f"{row['external_id']}: {row['field']} {row['value']}: {row['rule']}", style="yellow"))
