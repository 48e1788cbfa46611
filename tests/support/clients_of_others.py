"""A sandbox that clients of others reach under its Shopify name, and a way to run them there, unmodified."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from calibr_sandbox.client import SandboxClient
from calibr_sandbox.config import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, SHOP_DOMAIN

HERE = Path(__file__).resolve().parents[1] / "contract" / "clients"
_NO_PROXY = ("NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "https_proxy")
_TIMEOUT_S = 120


def _installer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("calibr_clients_install", HERE / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


INSTALLER = _installer()


@dataclass(frozen=True, slots=True)
class Storefront:
    """A running sandbox: how a client is to be pointed at it, and its back door."""

    db: Path
    environment: dict[str, str]
    control: SandboxClient

    @property
    def job(self) -> dict[str, Any]:
        """What every job is told."""
        return {
            "shop": SHOP_DOMAIN.removesuffix(".myshopify.com"),
            "domain": SHOP_DOMAIN,
            "client_id": DEFAULT_CLIENT_ID,
            "client_secret": DEFAULT_CLIENT_SECRET,
        }

    def price(self, gid: str) -> str:
        """The price that the shop holds."""
        found = self.control.request("GET", f"/sandbox/variants/{gid}").body
        return str(found["price"])


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Storefront]:
    """Run a sandbox with TLS and a proxy until the end of the block."""
    db = folder / "shop.db"
    command = [sys.executable, "-m", "calibr_sandbox", "serve", "--db", str(db), "--tls", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            kept = {name: value for name, value in os.environ.items() if name not in _NO_PROXY}
            trusted = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), ready["ca_file"])
            environment = {**kept, **trusted, "HTTPS_PROXY": ready["proxy_url"], "HOME": str(folder)}
            with SandboxClient(ready["url"]) as control:
                yield Storefront(db, environment, control)
        finally:
            process.terminate()
            process.wait(20)


def run_job(client: str, script: str, shop: Storefront, **told: object) -> dict[str, Any]:
    """Run a job with a client and return the JSON that it prints last."""
    done = start_client(client, [str(HERE / "jobs" / script), json.dumps({**shop.job, **told})], shop)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def start_client(client: str, arguments: list[str], shop: Storefront) -> "subprocess.CompletedProcess[str]":
    """Run a client's interpreter in its own place. Skips the test, with the reason, where it is not installed."""
    reason = INSTALLER.missing(client)
    if reason is not None:
        pytest.skip(f"{client} is not installed here: {reason}")
    if client == INSTALLER.NODE_CLIENT:
        # A module finds its packages beside itself, so it runs from a folder that has both.
        folder = Path(tempfile.mkdtemp(dir=shop.db.parent))
        (folder / "node_modules").symlink_to(INSTALLER.PLACE / client / "node_modules")
        command = ["node", shutil.copy(arguments[0], folder), *arguments[1:]]
    else:
        command = [str(INSTALLER.python_of(client)), *arguments]
    return subprocess.run(
        command, env=shop.environment, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )


def everything(client: SandboxClient) -> dict[str, dict[str, Any]]:
    """Read all variants of the shop page by page, by our own way."""
    query = """query($after: String) { productVariants(first: 200, after: $after) { pageInfo { hasNextPage endCursor }
      nodes { id price compareAtPrice sku inventoryItem { id unitCost { amount } } product { id title } } } }"""
    found: dict[str, dict[str, Any]] = {}
    after = None
    while True:
        page = client.graphql(query, {"after": after}).data["productVariants"]
        found |= {node["id"]: node for node in page["nodes"]}
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]
