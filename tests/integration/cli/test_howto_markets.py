"""The commands of the howto on market prices, against a real server, its worker and a store with a market."""

import json
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from terminal import Installation, Terminal, found_tenant

from calibr_sandbox.catalog_writer import store_products
from calibr_sandbox.config import DEFAULT_TOKEN, SandboxConfig
from calibr_sandbox.generate import CatalogSpec, generate_products
from calibr_sandbox.markets.seeds import read_markets, store_markets
from calibr_sandbox.testing import started_sandbox

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "change-market-prices.md"


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def installation(installation: Installation) -> Installation:
    """The same server, for a tenant of its own: another store would be in the plans of the others."""
    tokens = found_tenant(installation.server, installation.data_dir, "Markets")
    return replace(installation, tokens=tokens)


@pytest.fixture
def connection(installation: Installation, tmp_path: Path) -> Iterator[str]:
    """A store with a market whose list has fixed prices, connected and read, under a name of its own."""
    with started_sandbox(SandboxConfig(tmp_path / "shop.db", bulk_delay_s=0.01)) as sandbox:
        store = sandbox.shop.store
        store_products(store, generate_products(CatalogSpec(variants=40, seed=1, currency="USD")))
        store_markets(store, read_markets("EU:EUR:10"))
        headers = {"Authorization": f"Bearer {installation.tokens['author']}"}
        with httpx2.Client(base_url=installation.server.url, headers=headers, timeout=30) as author:
            config, secrets = {"shop_url": sandbox.url}, {"access_token": DEFAULT_TOKEN}
            body = {"kind": "shopify", "name": "Market store", "config": config, "secrets": secrets}
            made = author.post("/v1/connections", json=body).json()
            sync = author.post(f"/v1/connections/{made['id']}/syncs", json={}).json()
            deadline = time.monotonic() + 30
            while author.get(f"/v1/syncs/{sync['id']}").json()["state"] != "completed":
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield str(made["id"])


@pytest.mark.slow
def test_the_commands_of_the_howto(author: Terminal, connection: str) -> None:
    said = {}
    sku = next(
        row["sku"]
        for row in json.loads(author("products", "--limit", "200", "--json").out)["items"]
        if row["sku"] and any(ref["connection_id"] == connection for ref in row["channel_refs"])
    )
    for arguments in commands():
        given = [{"My store": "Market store", "S0000011-01": sku}.get(part, part) for part in arguments]
        ended = author(*given)
        assert ended.code == 0, (given, ended.err)
        said[" ".join(arguments[:2])] = ended.out

    assert "EUR" in said["price-lists list"]
    assert "+10 %" in said["price-lists list"]
    assert "EU" in said["markets"]
    assert "follows the base price" in said["change effects"] or "fixed, does not follow" in said["change effects"]
    assert "followed the base price until now" in said["change preview"]
    assert "fixed prices to take away" in said["change release"]
