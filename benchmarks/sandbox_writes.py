"""How many variant writes per second the sandbox store takes over HTTP, from one raw client.

The server is a process of its own, pinned to one core where the system can do that. Run it as
`python benchmarks/sandbox_writes.py [--variants-per-call 8] [--seconds 10]`; it prints one JSON line.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from calibr_sandbox.client import SandboxClient

_TOKEN: Final = "shpat_benchmark"  # noqa: S105 - of a server that lives for seconds
_UPDATE: Final = """
mutation UpdatePrices($productId: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $productId, variants: $variants, allowPartialUpdates: true) {
    product { id }
    productVariants { id price compareAtPrice }
    userErrors { field message code }
  }
}
"""
_PRODUCTS: Final = """
query Page($after: String) {
  products(first: 50, after: $after) {
    nodes { id variants(first: 10) { nodes { id } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


def read_products(client: SandboxClient, per_call: int, wanted: int) -> list[tuple[str, list[str]]]:
    """Return products with the variants that one call each will write."""
    found: list[tuple[str, list[str]]] = []
    after = None
    while len(found) < wanted:
        page = client.graphql(_PRODUCTS, {"after": after}).data["products"]
        for product in page["nodes"]:
            ids = [variant["id"] for variant in product["variants"]["nodes"]][:per_call]
            if len(ids) == per_call:
                found.append((product["id"], ids))
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    return found


def write_for(client: SandboxClient, products: list[tuple[str, list[str]]], seconds: float) -> tuple[int, int]:
    """Write prices until the time is over; returns calls and variant writes."""
    calls = writes = 0
    deadline = time.perf_counter() + seconds
    for number, (product_id, ids) in enumerate(itertools.cycle(products)):
        if time.perf_counter() >= deadline:
            break
        price = f"{10 + number % 90}.{number % 100:02d}"
        rows = [{"id": variant_id, "price": price, "compareAtPrice": "120.00"} for variant_id in ids]
        payload = client.graphql(_UPDATE, {"productId": product_id, "variants": rows}).data["productVariantsBulkUpdate"]
        if payload["userErrors"]:
            raise SystemExit(json.dumps(payload["userErrors"]))
        calls += 1
        writes += len(ids)
    return calls, writes


def main() -> None:
    """Start a server on a generated catalog, write to it, print the rate, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants-per-call", type=int, default=8)
    # Short enough that the largest bucket is not emptied: then the throttle would be measured.
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--db", str(Path(folder) / "shop.db"), "--products", "20000", "--plan", "enterprise"]
        command = [sys.executable, "-m", "calibr_sandbox", "serve", "--token", _TOKEN, *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
            try:
                if hasattr(os, "sched_setaffinity"):
                    os.sched_setaffinity(server.pid, {min(os.sched_getaffinity(0))})
                url = json.loads(server.stdout.readline())["url"] if server.stdout else ""
                client = SandboxClient(url, _TOKEN)
                products = read_products(client, arguments.variants_per_call, 1_000)
                calls, writes = write_for(client, products, arguments.seconds)
            finally:
                server.terminate()
    rates = {"calls_per_s": round(calls / arguments.seconds), "variant_writes_per_s": round(writes / arguments.seconds)}
    sys.stdout.write(json.dumps({"variants_per_call": arguments.variants_per_call, **rates}) + "\n")


if __name__ == "__main__":
    main()
