"""Run golden cases of the rule language through both back ends: `make golden FILE=path/to/cases.jsonl`.

The SQL back end is the real one: the tables of the catalog under row-level security, the source that plans read, one
compiled statement for all items of equal rules. Prints each difference and last the counts; exit 1 if there is one.
"""

import json
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    MetaData,
    Table,
    Text,
    Uuid,
    any_,
    case,
    cast,
    insert,
    literal,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from calibr.catalog import plan_source
from calibr.catalog.tables import connection, price_list, price_version, product, product_cost
from calibr.core.attributes import normalize_attributes
from calibr.core.canonical import canonical_json
from calibr.core.ids import ConnectionId, PriceListId, TenantId, new_uuid
from calibr.core.money import MAX_MINOR
from calibr.core.text import normalize
from calibr.core.written_json import Json, JsonNumber, load_written
from calibr.db import Context, Database, EmbeddedServer, Session, create_database, upgrade
from calibr.pricing import (
    BoundRules,
    DocumentError,
    Inputs,
    Item,
    PlanItem,
    PlanSource,
    TraceMismatch,
    compile_plan,
    engine_version,
    evaluate,
    explain_item,
    parse_rules,
)

Answer = dict[str, Any]
COMPUTED_AT = datetime(2026, 11, 24, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Case:
    """One golden case: its rules as written, its item, and the answer that is expected."""

    id: str
    about: str
    currency: str
    documents: tuple[Json, Json, Json]
    raw_item: Mapping[str, Json]
    expected: Answer

    @property
    def item(self) -> Item:
        """The item as the rules see it."""
        return _item(self.raw_item, self.currency)


@dataclass(slots=True)
class Report:
    """What a back end answered."""

    backend: str
    differences: list[str] = field(default_factory=list)
    passed: int = 0

    def compare(self, case: Case, answer: Answer) -> None:
        """Count the answer, or note how it differs."""
        if answer == case.expected:
            self.passed += 1
        else:
            self.differ(case, f"expected {_shown(case.expected)}\n    answered {_shown(answer)}")

    def differ(self, case: Case, what: str) -> None:
        """Note a difference."""
        self.differences.append(f"{self.backend}: {case.id} ({case.about})\n    {what}")


def read_cases(path: Path) -> list[Case]:
    """Read a golden file: one JSON object a line."""
    with path.open(encoding="utf-8") as lines:
        return [_case(line) for line in lines if line.strip()]


def _case(line: str) -> Case:
    written = _object(load_written(line.strip()))
    given = _object(written["input"])
    return Case(
        id=str(written["id"]),
        about=str(written.get("about", "")),
        currency=str(given["currency"]),
        documents=(given["selector"], given["transform"], given["guardrails"]),
        raw_item=_object(given["item"]),
        expected=json.loads(line)["expected"],
    )


def _object(value: Json) -> dict[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} stands where an object must")
    return value


def _item(raw: Mapping[str, Json], currency: str) -> Item:
    product_part, price = _object(raw.get("product")), _object(raw.get("price"))
    cost = _object(raw.get("cost"))
    in_currency = cost.get("currency") in {None, currency}
    texts = {name: _text(product_part.get(name)) for name in ("sku", "title", "vendor", "product_type", "status")}
    tags = product_part.get("tags")
    attributes, _ = normalize_attributes(_object(product_part.get("attributes")))
    return Item(
        Inputs(
            _whole(price.get("unit_amount")),
            _whole(price.get("compare_at")),
            _whole(cost.get("unit_cost")) if in_currency else None,
        ),
        currency,
        **texts,
        tags=frozenset(tag for tag in map(_text, tags if isinstance(tags, list) else ()) if tag is not None),
        attributes=attributes,
        price_list_name=_text(_object(raw.get("price_list")).get("name")),
        connection_name=_text(_object(raw.get("listing")).get("connection")),
        age_days=_whole(price.get("age_days")),
    )


def _whole(value: Json) -> int | None:
    return int(value.text) if isinstance(value, JsonNumber) else None


def _text(value: Json) -> str | None:
    return normalize(value) if isinstance(value, str) else None


def run_python(cases: Sequence[Case]) -> Report:
    """Answer each case with `evaluate`."""
    report = Report("Python")
    for case_ in cases:
        report.compare(case_, _evaluated(case_))
    return report


def _evaluated(case_: Case) -> Answer:
    try:
        rules = parse_rules(*case_.documents).bind(case_.currency)
    except DocumentError as error:
        return {"error": error.fault_code.value}
    evaluation = evaluate(rules, case_.item)
    outcome = evaluation.outcome
    if outcome is None or evaluation.branch_index is None:
        return {"selected": True, "left": True} if evaluation.left else {"selected": False}
    return {
        "selected": True,
        "case": rules.transform.label(evaluation.branch_index),
        "steps": [step.amount_out for step in outcome.steps],
        "after": {"unit_amount": outcome.after_amount, "compare_at": outcome.after_compare_at},
        "verdict": outcome.verdict,
        "direction": outcome.direction,
        "reason": outcome.reason,
        "binding": outcome.binding,
        "violated": outcome.violated,
    }


class SqlRun:
    """Answers cases by compiled statements over the catalog of one tenant, which it fills first."""

    def __init__(self, session: Session, cases: Sequence[Case]) -> None:
        self._session = session
        self._cases = cases
        self._products = {new_uuid(): case_ for case_ in cases}
        self._lists: dict[str, PriceListId] = {}
        self._sources: dict[str, PlanSource] = {}
        self.statements = 0

    def run(self) -> Report:
        """Fill the catalog and answer every case."""
        self._fill()
        report = Report("SQL")
        for ids in self._groups():
            self._answer(ids, report)
        return report

    def _groups(self) -> Iterator[list[UUID]]:
        """Products whose cases have the same rules and the same price list."""
        groups: dict[object, list[UUID]] = {}
        for product_id, case_ in self._products.items():
            item = case_.item
            # Not the canonical form: it forgets how a number was written, which the rules do not.
            key = (case_.currency, repr(case_.documents), item.price_list_name, item.connection_name)
            groups.setdefault(key, []).append(product_id)
        yield from groups.values()

    def _answer(self, ids: list[UUID], report: Report) -> None:
        first = self._products[ids[0]]
        try:
            rules = parse_rules(*first.documents).bind(first.currency)
        except DocumentError as error:
            for product_id in ids:
                report.compare(self._products[product_id], {"error": error.fault_code.value})
            return
        source = self._source(first, ids)
        plan = compile_plan(rules, source)
        self.statements += 1
        rows = {row["product_id"]: dict(row) for row in self._session.execute(plan.items).mappings()}
        missing = len(rows) < len(ids)
        selected = set(self._session.execute(plan.selection).scalars()) if missing else set(rows)
        for product_id in ids:
            answered = _row_answer(rules, rows.get(product_id), is_selected=product_id in selected)
            report.compare(self._products[product_id], answered)
            self._check_trace(rules, rows.get(product_id), self._products[product_id], report)

    def _check_trace(self, rules: BoundRules, row: Mapping[str, Any] | None, case_: Case, report: Report) -> None:
        """The stored trace must be what `evaluate` gives."""
        if row is None:
            return
        names = [name for name in PlanItem.__slots__ if name != "trace"]
        item = PlanItem(**{name: row[name] for name in names}, trace=tuple(row["trace"]))
        try:
            explain_item(rules, item, engine_version())
        except TraceMismatch as mismatch:
            report.differ(case_, f"its trace cannot be explained: {mismatch}")

    def _source(self, case_: Case, ids: list[UUID]) -> PlanSource:
        """The source that plans read, of these products; what the catalog cannot hold comes from beside it."""
        source = self._sources[case_.currency]
        beside = _BESIDE.c
        rows = source.rows.outerjoin(_BESIDE, beside.product_id == source.product_id)
        is_beside = beside.product_id.is_not(None)
        return replace(
            source,
            rows=rows,
            where=(*source.where, source.product_id == any_(literal(ids, ARRAY(Uuid)))),
            price_list_name=case_.item.price_list_name,
            connection_name=case_.item.connection_name,
            compare_at=case((is_beside, beside.compare_at), else_=source.compare_at),
            valid_from=case((is_beside, beside.valid_from), else_=source.valid_from),
        )

    def _fill(self) -> None:
        tenant_id = self._session.tenant_id
        store = ConnectionId(new_uuid())
        named = {"tenant_id": tenant_id, "name": "golden", "name_norm": "golden"}
        self._session.execute(insert(connection), [{**named, "id": store, "kind": "shopify", "config": {}}])
        for currency in {case_.currency for case_ in self._cases}:
            self._lists[currency] = PriceListId(new_uuid())
            row = {**named, "id": self._lists[currency], "connection_id": store, "external_id": currency}
            self._session.execute(insert(price_list), [{**row, "currency": currency, "is_base": True}])
        self._session.execute(text(_CREATE_BESIDE))
        for product_id, case_ in self._products.items():
            self._fill_item(tenant_id, product_id, case_)
        self._sources = {
            currency: plan_source(self._session, price_list_id, computed_at=COMPUTED_AT)
            for currency, price_list_id in self._lists.items()
        }

    def _fill_item(self, tenant_id: TenantId, product_id: UUID, case_: Case) -> None:
        item, key = case_.item, {"tenant_id": tenant_id}
        texts = {f"{name}_norm": getattr(item, name) for name in ("sku", "title", "vendor", "product_type", "status")}
        attributes = cast(literal(canonical_attributes(item), Text), JSONB)
        row = {**key, "id": product_id, **texts, "tags": [], "tags_norm": sorted(item.tags), "active": True}
        self._session.execute(insert(product).values(**row, attributes={}, attributes_norm=attributes))
        self._fill_price(tenant_id, product_id, case_)
        cost = _object(case_.raw_item.get("cost"))
        unit_cost = _whole(cost.get("unit_cost"))
        if unit_cost is not None:
            currency = cost.get("currency") or case_.currency
            row = {
                **key,
                "product_id": product_id,
                "currency": currency,
                "unit_cost": unit_cost,
                "valid_from": COMPUTED_AT,
            }
            self._session.execute(insert(product_cost).values(**row))

    def _fill_price(self, tenant_id: TenantId, product_id: UUID, case_: Case) -> None:
        inputs, age = case_.item.inputs, case_.item.age_days
        valid_from = None if age is None else COMPUTED_AT - timedelta(days=age)
        if inputs.unit_amount is not None:
            row = {
                "tenant_id": tenant_id, "product_id": product_id, "price_list_id": self._lists[case_.currency],
                "currency": case_.currency, "unit_amount": inputs.unit_amount, "compare_at": inputs.compare_at,
                "valid_from": valid_from or COMPUTED_AT, "source": "ingest",
            }  # fmt: skip
            self._session.execute(insert(price_version).values(**row))
        if (inputs.unit_amount is None) is not (valid_from is None) or (
            inputs.unit_amount is None and inputs.compare_at
        ):
            row = {"product_id": product_id, "compare_at": inputs.compare_at, "valid_from": valid_from}
            self._session.execute(insert(_BESIDE).values(**row))


# A golden item may have a compare-at or an age without a price in force, or a price without an age. The catalog holds
# no such thing; the table beside it gives the compiled statements these values all the same.
_CREATE_BESIDE = """
  create temporary table golden_beside(product_id uuid primary key, compare_at bigint, valid_from timestamptz)
  on commit drop
"""
_BESIDE = Table(
    "golden_beside",
    MetaData(),
    Column("product_id", Uuid, primary_key=True),
    Column("compare_at", BigInteger),
    Column("valid_from", DateTime(timezone=True)),
)


def canonical_attributes(item: Item) -> str:
    """Attributes as the catalog stores them."""
    return canonical_json(item.attributes).decode("utf-8")


def _row_answer(rules: BoundRules, row: Mapping[str, Any] | None, *, is_selected: bool) -> Answer:
    if row is None:
        return {"selected": True, "left": True} if is_selected else {"selected": False}
    numbers = list(row["trace"])[1:]
    index = 0 if rules.transform.is_single else numbers.pop(0)
    has_price = row["before_amount"] is not None
    steps = numbers[: len(rules.transform.branches[index].steps)] if has_price else []
    return {
        "selected": True,
        "case": rules.transform.label(index),
        "steps": _up_to_the_block(steps),
        "after": {"unit_amount": row["after_amount"], "compare_at": row["after_compare_at"]},
        **{name: row[name] for name in ("verdict", "direction", "reason", "binding", "violated")},
    }


def _up_to_the_block(amounts: list[int | None]) -> list[int | None]:
    """The amounts of the steps that ran: the one that blocked gave null or an amount that is no price."""
    for position, amount in enumerate(amounts):
        if amount is None or not 0 <= amount <= MAX_MINOR:
            return amounts[: position + 1]
    return amounts


def _shown(answer: Answer) -> str:
    return str(json.dumps(answer, ensure_ascii=False))


def run_sql(cases: Sequence[Case], database: Database, context: Context) -> tuple[Report, int]:
    """Answer the cases in a transaction that leaves nothing behind; return the report and the number of statements."""
    with suppress(_RollBack), database.session(context) as session:
        run = SqlRun(session, cases)
        report = run.run()
        raise _RollBack
    return report, run.statements


class _RollBack(Exception):
    """Raised to undo the transaction on purpose."""


def main(arguments: Sequence[str]) -> int:
    """Run a file of cases; return the exit status."""
    if len(arguments) != 1:
        print("usage: python tools/golden.py FILE", file=sys.stderr)
        return 2
    try:
        cases = read_cases(Path(arguments[0]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{arguments[0]} is no file of golden cases: {error}", file=sys.stderr)
        return 2
    python = run_python(cases)
    with _fresh_database() as (database, context):
        sql, statements = run_sql(cases, database, context)
    differences = [*python.differences, *sql.differences]
    print("\n".join(differences), end="\n" if differences else "")
    print(
        f"{len(cases)} cases: Python {python.passed} as expected; "
        f"SQL {sql.passed} as expected in {statements} statements; {len(differences)} differences"
    )
    return 1 if differences or not cases else 0


@contextmanager
def _fresh_database() -> Iterator[tuple[Database, Context]]:
    """A migrated database with one tenant, on a server of its own that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="calibr-golden-") as folder:
        Path(folder).chmod(0o711)  # as root, the server's account must be able to pass
        key = secrets.token_bytes(32)
        with EmbeddedServer(Path(folder) / "server") as server:
            url = create_database(server.url, "golden")
            upgrade(url, key)
            database = Database.connect(url, key, pool_size=1)
            try:
                yield database, _new_tenant(database)
            finally:
                database.close()


def _new_tenant(database: Database) -> Context:
    context = Context(TenantId(new_uuid()), "system:golden", new_uuid())
    with database.session(context) as session:
        Database.register_tenant(session)
        row = {"tenant": session.tenant_id}
        session.execute(text("insert into calibr.tenant(tenant_id, name) values (:tenant, 'Golden')"), row)
        session.execute(text("insert into calibr.tenant_head(tenant_id) values (:tenant)"), row)
    return context


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
