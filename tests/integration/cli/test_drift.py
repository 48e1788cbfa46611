"""`calibr drift` against a real server whose worker hears of a merchant's edit."""

import json
import re
import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from terminal import Installation, Terminal, found_tenant

from calibr_sandbox.config import DEFAULT_TOKEN, DEFAULT_WEBHOOK_SECRET

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "handle-drift.md"


@pytest.fixture(scope="module")
def installation(installation: Installation) -> Installation:
    """The same server, for a tenant of its own: another store would be in the plans of the others."""
    tokens = found_tenant(installation.server, installation.data_dir, "Drift")
    return replace(installation, tokens=tokens)


@pytest.fixture(scope="module")
def store(installation: Installation) -> dict[str, Any]:
    """The sandbox store, connected, read, and sold at ten percent off; it sends its webhooks to us."""
    url, tokens = installation.server.url, installation.tokens

    def person(role: str) -> httpx2.Client:
        return httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {tokens[role]}"}, timeout=30)

    with person("author") as author, person("approver") as approver:
        secrets = {"access_token": DEFAULT_TOKEN, "client_secret": DEFAULT_WEBHOOK_SECRET}
        config = {"shop_url": installation.store.url}
        body = {"kind": "shopify", "name": "My store", "config": config, "secrets": secrets}
        connection = author.post("/v1/connections", json=body).json()
        sync = author.post(f"/v1/connections/{connection['id']}/syncs", json={}).json()
        await_(author, f"/v1/syncs/{sync['id']}", "completed")
        hook = author.get(f"/v1/connections/{connection['id']}/webhooks").json()["path"]
        httpx2.post(f"{installation.store.url}/sandbox/webhooks", json={"topic": "products/update", "url": url + hook})
        only = {"all": [{"field": "listing.connection", "op": "eq", "value": "My store"}]}
        wish = {"name": "Sale", "selector": only, "transform": {"price": [{"op": "percent", "by": "-10"}, ROUND]}}
        path = f"/v1/price-changes/{author.post('/v1/price-changes', json=wish).json()['id']}"
        author.post(f"{path}/preview", json={})
        plan = await_(author, path, "previewed")
        author.post(f"{path}/submit", json={})
        approver.post(f"{path}/approve", json={"plan_root": plan["plan_root"]})
        approver.post(f"{path}/apply", json={})
        await_(author, path, "applied")
        found = author.get("/v1/products", params={"limit": 2}).json()["items"]
    listings = [p["channel_refs"][0]["external_id"] for p in found]
    return {"id": connection["id"], "url": installation.store.url, "listings": listings}


ROUND = {"op": "round", "to": "0.01"}


def await_(client: httpx2.Client, path: str, state: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while (seen := dict(client.get(path).json()))["state"] != state:
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
    return seen


def drifted(terminal: Terminal, number: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 30
    while True:
        found = json.loads(terminal("drift", "list", "--connection", "My store", "--json").out)["items"]
        if len(found) == number:
            return list(found)
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def commands() -> list[list[str]]:
    """Those of the howto, without the name of the program."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


@pytest.mark.slow
def test_the_commands_of_the_howto_list_adopt_and_put_back(author: Terminal, store: dict[str, Any]) -> None:
    assert "nothing" in author("drift", "list").out
    for listing, price in zip(store["listings"], ("77.01", "77.02"), strict=True):
        httpx2.post(f"{store['url']}/sandbox/variants/{listing}", json={"price": price})
    first, second = drifted(author, 2)
    said = {}

    assert len(commands()) == 6
    for arguments in commands():
        given = [first["id"][-12:] if part == "0a1b2c3d4e5f" else part for part in arguments]
        ended = author(*given)
        if arguments[0] != "events":  # which only an admin may see
            assert ended.code == 0, (arguments, ended.err)
        said[" ".join(arguments[:2])] = said.get(" ".join(arguments[:2]), "") + ended.out

    assert "77.01" in said["drift list"]
    assert "77.02" in said["drift list"]
    assert "adopted 1 price" in said["drift adopt"]
    assert "Put back: 1 price to put back; next: calibr change submit " in said["drift reassert"]
    assert "submitted" in said["change submit"]
    assert [one["id"] for one in drifted(author, 1)] == [second["id"]]
    assert author("drift", "list", "--state", "adopted").out.count("adopted") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["adopt"], "say which drift"),
        (["adopt", "ffffffffffff"], "no open drift ends like that"),
        (["reassert"], "say which drift: ids, or --all"),
        (["reassert", "--all", "ffffffffffff"], "say which drift: ids, or --all"),
        (["list", "--state", "lost"], "state"),
    ],
)
def test_bad_input_is_refused_with_a_reason(author: Terminal, arguments: list[str], said: str) -> None:
    refused = author("drift", *arguments)

    assert refused.code == 2
    assert said in refused.err
