"""The routes under `/sandbox/`: a merchant's edits, counters, the journal, faults, result files."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from calibr_sandbox.catalog import find_variant
from calibr_sandbox.endpoint import Shop
from calibr_sandbox.faults import read_rule
from calibr_sandbox.ids import parse_gid
from calibr_sandbox.money import parse_decimal, to_shop_text
from calibr_sandbox.rows import VariantRow
from calibr_sandbox.variant_writes import Writer, write_variants

JOURNAL: Final = (
    *("seq", "call", "source", "who", "at", "at_ms", "variant_id", "price", "compare_at_price", "cost"),
    *("price_before", "compare_at_price_before", "effective"),
)
_AMOUNTS: Final = {"price": "price", "compareAtPrice": "compare_at_price", "cost": "cost"}
_MAX_JOURNAL: Final = 10_000
_MAX_DIGITS: Final = 18

Handler = Callable[[Request], Awaitable[Response]]


class _BadInputError(ValueError):
    """The caller sent something that cannot be done."""


class Control:
    """The handlers, on one shop."""

    def __init__(self, shop: Shop) -> None:
        """Serve this shop."""
        self._shop = shop

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/sandbox/health", _guarded(self.health), methods=["GET"]),
            Route("/sandbox/stats", _guarded(self.stats), methods=["GET"]),
            Route("/sandbox/journal", _guarded(self.journal), methods=["GET"]),
            Route("/sandbox/variants/{id:path}", _guarded(self.show_variant), methods=["GET"]),
            Route("/sandbox/variants/{id:path}", _guarded(self.edit_variant), methods=["POST"]),
            Route("/sandbox/edits", _guarded(self.edit_variants), methods=["POST"]),
            Route("/sandbox/faults", _guarded(self.list_faults), methods=["GET"]),
            Route("/sandbox/faults", _guarded(self.add_fault), methods=["POST"]),
            Route("/sandbox/faults", _guarded(self.clear_faults), methods=["DELETE"]),
            Route("/sandbox/throttle", _guarded(self.throttle), methods=["POST"]),
            Route("/sandbox/bulk-results/{name}", self.bulk_result, methods=["GET"]),
        ]

    async def health(self, _request: Request) -> object:
        """Say that the server answers."""
        return {"status": "ok"}

    async def stats(self, _request: Request) -> object:
        """Count what was called, refused, written and stored."""
        return await run_in_threadpool(self._count)

    async def journal(self, request: Request) -> object:
        """Return the accepted writes after a sequence number, in their order."""
        after, limit = _integer(request, "after", 0), _integer(request, "limit", _MAX_JOURNAL)
        rows = await run_in_threadpool(self._read_journal, after, min(limit, _MAX_JOURNAL))
        return {"writes": [dict(zip(JOURNAL, row, strict=True)) for row in rows]}

    async def show_variant(self, request: Request) -> object:
        """Return the stored values of a variant."""
        return _variant_json(self._find_named(request.path_params["id"]))

    async def edit_variant(self, request: Request) -> object:
        """Set price, compareAtPrice or cost by hand, as a merchant does; null clears the last two."""
        text = request.path_params["id"]
        self._edit([(text, await _json_object(request))], "hand")
        return _variant_json(self._find_named(text))

    async def edit_variants(self, request: Request) -> object:
        """The same for many variants at once, in one transaction; `who` is told in the journal."""
        body = await _json_object(request)
        edits, who = body.get("edits"), body.get("who", "hand")
        if not isinstance(edits, list) or not isinstance(who, str) or not all(isinstance(e, dict) for e in edits):
            raise _BadInputError('send {"edits": [{"id": ..., "price": ...}, ...], "who": "..."}')
        self._edit([(str(edit.pop("id", "")), edit) for edit in map(dict, edits)], who)
        return {"edited": len(edits)}

    def _edit(self, edits: list[tuple[str, dict[str, Any]]], who: str) -> None:
        rows, known = [], {}
        for text, changes in edits:
            unknown = sorted(set(changes) - set(_AMOUNTS))
            if unknown or not changes:
                raise _BadInputError(
                    f"send one or more of {', '.join(_AMOUNTS)}; not {', '.join(unknown) or 'an empty object'}"
                )
            row = self._find_named(text)
            values: dict[str, Any] = {_AMOUNTS[name]: self._amount_text(name, value) for name, value in changes.items()}
            known[row.id] = row
            rows.append(row._replace(**values))
        with self._shop.store.transaction() as connection:
            write_variants(connection, rows, known, Writer("hand", who[:120]))

    async def list_faults(self, _request: Request) -> object:
        """List the fault rules in force."""
        return {"faults": self._shop.faults.rules()}

    async def add_fault(self, request: Request) -> object:
        """Put a fault rule into force."""
        body = await _json_object(request)
        try:
            self._shop.faults.add(read_rule(body))
        except TypeError as error:
            raise _BadInputError(str(error)) from error
        return {"faults": self._shop.faults.rules()}

    async def clear_faults(self, _request: Request) -> object:
        """Drop all fault rules."""
        self._shop.faults.clear()
        return {"faults": []}

    async def throttle(self, _request: Request) -> object:
        """Empty every token's bucket now."""
        for token in self._shop.config.tokens:
            self._shop.bucket(token).drain()
        return {"status": "drained"}

    async def bulk_result(self, request: Request) -> Response:
        """Send the result file of a completed bulk operation."""
        path = self._shop.bulk.result_file(request.path_params["name"])
        if path is None or not path.exists():
            return Response("no such result", status_code=404, media_type="text/plain")
        return FileResponse(path, media_type="application/jsonl")

    # Both read from a snapshot, because on a large shop they take long enough to hold up writers.
    def _count(self) -> dict[str, object]:
        with self._shop.store.snapshot() as reader:
            by_source = dict(reader.fetch_all("SELECT source, count(*) FROM journal GROUP BY source"))
            return {
                **self._shop.stats.as_json(),
                "faults_injected": dict(self._shop.faults.hits),
                "products": reader.fetch_value("SELECT count(*) FROM product"),
                "variants": reader.fetch_value("SELECT count(*) FROM variant"),
                "accepted_variant_writes": by_source.get("api", 0),
                "edits_by_hand": by_source.get("hand", 0),
            }

    def _read_journal(self, after: int, limit: int) -> list[tuple[Any, ...]]:
        sql = f"SELECT {', '.join(JOURNAL)} FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
        with self._shop.store.snapshot() as reader:
            return reader.fetch_all(sql, (after, limit))

    def _find_named(self, text: str) -> VariantRow:
        parsed = parse_gid(text)
        number = _whole_number(text) if parsed is None else parsed.number
        row = None if number is None else find_variant(self._shop.store, number)
        if row is None:
            raise LookupError(f"there is no variant {text!r}")
        return row

    def _amount_text(self, name: str, value: object) -> str | None:
        if value is None and name != "price":
            return None
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise _BadInputError(f'{name}: {value!r} is not an amount; write it as text, as in "19.99"')
        amount: Decimal = parse_decimal(str(value))
        return to_shop_text(amount, self._shop.store.currency)


def _guarded(handler: Callable[[Request], Awaitable[object]]) -> Handler:
    """Answer in JSON; 404 for what does not exist, 400 with a sentence for bad input."""

    async def answer(request: Request) -> Response:
        try:
            return _json(await handler(request))
        except LookupError as error:
            return _json({"error": str(error)}, 404)
        except ValueError as error:
            return _json({"error": str(error)}, 400)

    return answer


async def _json_object(request: Request) -> dict[str, Any]:
    parsed = orjson.loads(await request.body() or b"null")
    if not isinstance(parsed, dict):
        raise _BadInputError("the body must be a JSON object")
    return parsed


def _integer(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    number = _whole_number(text)
    if number is None:
        raise _BadInputError(f"{name}: {text!r} is not a whole number of up to {_MAX_DIGITS} digits")
    return number


def _whole_number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else None


def _variant_json(row: VariantRow) -> dict[str, object]:
    return row._asdict()


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
