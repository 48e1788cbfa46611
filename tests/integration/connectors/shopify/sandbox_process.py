"""The sandbox store as a process of its own, as a merchant's store is somewhere else."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from calibr.connectors.shopify import ShopifyConnector, create

TOKEN = "shpat_test"


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox and its back door: what the store really holds, and what it should do wrong."""

    url: str
    http: httpx2.Client

    def connect(self, token: str = TOKEN, **config: object) -> ShopifyConnector:
        return create({"shop_url": self.url, **config}, {"access_token": token}, allow_loopback=True)

    def control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        response = self.http.request(method, f"/sandbox/{path}", json=body)
        found: dict[str, Any] = response.raise_for_status().json()
        return found

    def variant(self, external_id: str) -> dict[str, Any]:
        return self.control("GET", f"variants/{external_id}")

    def edit(self, external_id: str, **values: str | None) -> None:
        self.control("POST", f"variants/{external_id}", values)

    def fault(self, kind: str, **values: object) -> None:
        self.control("POST", "faults", {"kind": kind, **values})

    def heal(self) -> None:
        self.control("DELETE", "faults")

    def accepted_writes(self) -> int:
        return int(self.control("GET", "stats")["accepted_variant_writes"])


@contextmanager
def sandbox(folder: Path, *options: str) -> Iterator[Sandbox]:
    """Run a sandbox over a file in `folder` until the end of the block."""
    command = [sys.executable, "-m", "calibr_sandbox", "serve", "--db", str(folder / "shop.db"), "--token", TOKEN]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None:
                raise AssertionError("the sandbox has no standard output")
            url = json.loads(process.stdout.readline())["url"]
            with httpx2.Client(base_url=url, timeout=10, trust_env=False) as http:
                yield Sandbox(url, http)
        finally:
            process.terminate()
