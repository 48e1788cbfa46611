"""A rehearsal as a person runs it, small: real processes, real kills, and the verdict of the checker."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from calibr.cli.client import Client
from calibr.cli.demo.processes import Processes, run_once
from calibr.cli.demo.workspace import workspace
from calibr.cli.failures import CliError
from calibr.cli.lookups import find_change
from calibr.cli.rehearse import copy_change

ITEMS, KILLS, ZOMBIES = 600, 4, 1
LONGEST_S = 150
NOTHING = dict.fromkeys(
    (
        *("lost_items", "duplicate_writes", "unaudited_changes", "external_edits_overwritten"),
        *("events_lost", "effects_twice", "reorders", "gaps"),
    ),
    0,
)

pytestmark = pytest.mark.slow
Planned = tuple[dict[str, str], Client]


def rehearse(*arguments: str, **environment: str) -> dict[str, Any]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALIBR_")}
    done = subprocess.run(
        [sys.executable, "-m", "calibr", "rehearse", "--json", *arguments],
        env={**kept, **environment},
        capture_output=True,
        check=False,
        timeout=LONGEST_S,
    )
    assert done.returncode == 0, done.stdout.decode()[-3000:] + done.stderr.decode()[-2000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_nothing_is_lost_and_nothing_done_twice_under_kills_zombies_faults_and_edits() -> None:
    report = rehearse("--items", str(ITEMS), "--kill", str(KILLS), "--zombies", str(ZOMBIES), "--seed", "3")

    assert report["violations"] == NOTHING
    assert not any(report["integrity"].values())
    assert (report["items"], report["kills"], report["zombies"], report["seed"]) == (ITEMS, KILLS, ZOMBIES, 3)
    # The harm was real: the store failed, prices were edited and left alone, answers were lost and came again.
    assert report["faults_injected"] > 0
    assert report["edits"] >= 5
    assert report["item_states"]["drifted"] > 0
    assert report["item_states"]["applied"] + report["item_states"]["drifted"] == ITEMS
    assert report["events_delivered"] > ITEMS


def test_the_same_holds_for_files_that_the_store_works_through() -> None:
    report = rehearse("--items", str(ITEMS), "--kill", "3", "--zombies", "1", "--seed", "4", "--path", "bulk")

    assert report["violations"] == NOTHING
    assert not any(report["integrity"].values())
    assert report["item_states"]["applied"] + report["item_states"]["drifted"] == ITEMS


def test_the_same_holds_for_base_prices_and_a_price_list_together() -> None:
    report = rehearse(
        *("--items", "200", "--kill", "2", "--zombies", "1", "--seed", "5", "--market", "--rollback"),
    )

    assert report["violations"] == NOTHING
    assert not any(report["integrity"].values())
    assert report["item_states"]["applied"] > 200


@pytest.fixture(scope="module")
def planned() -> Iterator[Planned]:
    """A server with a change whose plan stands: how a command finds it, and a client."""
    with workspace() as place:
        processes = Processes(place)
        try:
            data_dir = str(place.data_dir)
            store = processes.launch(
                "store", ["calibr_sandbox", "serve", "--db", str(place.store_file), "--products", "80"]
            )
            server = processes.launch(
                "server",
                ["calibr", "serve", "--json", "--port", "0", "--data-dir", data_dir],
                {"CALIBR_ALLOW_LOOPBACK_STORES": "true"},
            )
            store.await_ready()
            server.await_ready()
            made = run_once(["calibr", "tenant", "create", "Shop", "--json", "--data-dir", data_dir])
            environment = {"CALIBR_URL": server.url, "CALIBR_TOKEN": str(made["token"])}
            with closing(Client(server.url, str(made["token"]))) as api:
                plan_something(api, store.url)
                yield environment, api
        finally:
            processes.end_all()


RULE = {
    "selector": {"field": "price.unit_amount", "op": "gte", "value": "10"},
    "transform": {
        "price": [{"op": "percent", "by": "-15"}, {"op": "ending", "endings": ["0.99"], "per": "1"}],
        "compare_at": {"set": "from_price"},
    },
    "guardrails": [{"id": "cost", "rule": "min_markup", "percent": "20", "if_missing": "skip"}],
}


def plan_something(api: Client, store_url: str) -> None:
    secrets = {"access_token": "shpat_sandbox"}
    body = {"kind": "shopify", "name": "store", "config": {"shop_url": store_url}, "secrets": secrets}
    connection = api.post("/v1/connections", body)
    sync = api.post(f"/v1/connections/{connection['id']}/syncs")
    await_state(api, f"/v1/syncs/{sync['id']}", "completed")
    change = api.post("/v1/price-changes", {"name": "summer", **RULE})
    api.post(f"/v1/price-changes/{change['id']}/preview")
    await_state(api, f"/v1/price-changes/{change['id']}", "previewed")


def await_state(api: Client, path: str, state: str) -> None:
    deadline = time.monotonic() + 60
    while (found := api.get(path))["state"] != state:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_a_change_is_rehearsed_with_exactly_the_prices_of_its_plan_and_rolled_back(planned: Planned) -> None:
    environment, api = planned
    change = find_change(api, "summer")

    report = rehearse("--change", "summer", "--kill", "2", "--zombies", "0", "--rollback", **environment)

    written = [item for item in api.pages(f"/v1/price-changes/{change['id']}/items") if item["state"] == "pending"]
    assert report["violations"] == NOTHING
    assert not any(report["integrity"].values())
    assert report["rehearsed"] == {
        "change_id": change["id"],
        "name": "summer",
        "plan_root": change["plan_root"],
        "left_out": 0,
        "planned_otherwise": 0,
    }
    assert report["items"] == len(written)
    assert 10 < len(written) < 80  # the rule is of a part of the catalog, and only that part was copied
    assert api.get(f"/v1/price-changes/{change['id']}")["state"] == "previewed"  # the real one is only read


def test_a_change_without_a_plan_cannot_be_rehearsed(planned: Planned) -> None:
    _, api = planned
    api.post("/v1/price-changes", {"name": "draft", **RULE})

    with pytest.raises(CliError, match="draft is draft and has no plan to rehearse"):
        copy_change(api, "draft")
