"""Reads the store and the sealed plan independently of the engine and its connector, and compares them.

The store is read with its own Admin API (a bulk query), the plan as the text that its root was computed from.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import orjson

from calibr.cli.failures import FAILED, CliError
from calibr.core.money import AmountFault, read_written, to_minor

API_VERSION: Final = "2026-10"
_QUERY: Final = "{ productVariants { edges { node { id price compareAtPrice } } } }"
_RUN: Final = """mutation Run($query: String!) {
  bulkOperationRunQuery(query: $query) { bulkOperation { id } userErrors { message } }
}"""
_POLL: Final = "query Poll($id: ID!) { bulkOperation(id: $id) { status errorCode url } }"
_TIMEOUT_S: Final = 300.0
_PLAN_FIELDS: Final = 10


@dataclass(frozen=True, slots=True)
class Shown:
    """What a store shows for one variant, in minor units."""

    unit_amount: int
    compare_at: int | None


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One row of `plan.txt`: what should be shown once the plan is applied."""

    product_id: str
    currency: str
    before: Shown | None
    after: Shown | None
    verdict: str


@dataclass(slots=True)
class Comparison:
    """How many rows were compared, and those that differ."""

    compared: int = 0
    differing: list[str] = field(default_factory=list)
    untouched: int = 0
    moved_outside: list[str] = field(default_factory=list)

    @property
    def matches(self) -> bool:
        """Whether every row of the plan is what the store shows, and nothing else moved."""
        return self.compared > 0 and not self.differing and not self.moved_outside


@dataclass(slots=True)
class StoreReader:
    """The Admin API of the store, spoken directly."""

    url: str
    token: str = field(repr=False)

    def prices(self, currency: str) -> dict[str, Shown]:
        """Every variant's price and compare-at price by its number."""
        with httpx2.Client(trust_env=False, timeout=60) as http:
            result = self._bulk(http)
            if result is None:
                return {}
            with http.stream("GET", result) as lines:
                lines.raise_for_status()
                return {
                    _number(row["id"]): _shown(row, currency) for row in map(orjson.loads, lines.iter_lines()) if row
                }

    def edit(self, variant: str, price: str) -> None:
        """Change a price by hand, as somebody in the store's own admin would."""
        with httpx2.Client(trust_env=False, timeout=60) as http:
            http.post(f"{self.url}/sandbox/variants/{variant}", json={"price": price}).raise_for_status()

    def stats(self) -> dict[str, int]:
        """What the store counted about itself since it started."""
        with httpx2.Client(trust_env=False, timeout=60) as http:
            counted: dict[str, int] = http.get(f"{self.url}/sandbox/stats").raise_for_status().json()
        return counted

    def _bulk(self, http: httpx2.Client) -> str | None:
        """Run the bulk query and return the address of its result; None when there is nothing."""
        answer = self._ask(http, _RUN, {"query": _QUERY})["bulkOperationRunQuery"]
        if answer["userErrors"]:
            raise CliError(f"the store refused to be read: {answer['userErrors'][0]['message']}", FAILED)
        deadline = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline:
            operation = self._ask(http, _POLL, {"id": answer["bulkOperation"]["id"]})["bulkOperation"]
            if operation["status"] == "COMPLETED":
                return None if operation["url"] is None else str(operation["url"])
            if operation["status"] not in {"CREATED", "RUNNING"}:
                raise CliError(f"the store could not be read: {operation['status']} {operation['errorCode']}", FAILED)
            time.sleep(0.1)
        raise CliError(f"the store was not read within {_TIMEOUT_S:.0f} s", FAILED)

    def _ask(self, http: httpx2.Client, document: str, variables: Mapping[str, object]) -> dict[str, Any]:
        response = http.post(
            f"{self.url}/admin/api/{API_VERSION}/graphql.json",
            json={"query": document, "variables": dict(variables)},
            headers={"X-Shopify-Access-Token": self.token},
        )
        response.raise_for_status()
        body = response.json()
        if body.get("errors"):
            raise CliError(f"the store answered: {body['errors'][0]['message']}", FAILED)
        data: dict[str, Any] = body["data"]
        return data


def read_plan(lines: Iterable[str]) -> Iterator[PlanRow]:
    """Read the rows of `plan.txt`; the header says what the plan is of, not what it holds."""
    for number, line in enumerate(lines):
        if number == 0:
            continue
        parts = line.rstrip("\n").split("|")
        if len(parts) != _PLAN_FIELDS:
            raise CliError(f"plan.txt line {number + 1}: {len(parts)} fields, a row has {_PLAN_FIELDS}", FAILED)
        product, _price_list, currency, before, before_compare_at, after, after_compare_at, verdict, *_ = parts
        yield PlanRow(
            product, currency, _amounts(before, before_compare_at), _amounts(after, after_compare_at), verdict
        )


def compare(
    plan: Iterable[PlanRow], listings: Mapping[str, str], shown: Mapping[str, Shown], earlier: Mapping[str, Shown]
) -> Comparison:
    """Compare each row's after-values with the store, and everything outside the plan with what was there before.

    `listings` gives the store's number of each product.
    """
    found = Comparison()
    planned: set[str] = set()
    for row in plan:
        number = listings.get(row.product_id, "")
        planned.add(number)
        found.compared += 1
        if row.after != shown.get(number):
            found.differing.append(number or row.product_id)
    for number, price in earlier.items():
        if number in planned:
            continue
        found.untouched += 1
        if shown.get(number) != price:
            found.moved_outside.append(number)
    return found


def _amounts(unit_amount: str, compare_at: str) -> Shown | None:
    return Shown(int(unit_amount), int(compare_at) if compare_at else None) if unit_amount else None


def _shown(row: Mapping[str, Any], currency: str) -> Shown:
    compare_at = row.get("compareAtPrice")
    return Shown(_minor(row["price"], currency), None if compare_at is None else _minor(compare_at, currency))


def _minor(text: str, currency: str) -> int:
    written = read_written(text)
    minor = None if written is None else to_minor(written, currency)
    if minor is None or isinstance(minor, AmountFault):
        raise CliError(f"the store shows {text!r}, which is no amount in {currency}", FAILED)
    return minor


def _number(gid: str) -> str:
    return gid.rsplit("/", 1)[-1]
