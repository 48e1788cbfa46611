"""The routes under `/sandbox/`: a merchant's edits, counters, the journal, faults, webhooks, result files."""

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from calibr_sandbox.bulk_run import Failure
from calibr_sandbox.control_http import BadInputError, guarded, json_object
from calibr_sandbox.endpoint import Shop
from calibr_sandbox.fault_file import read_rule
from calibr_sandbox.hand_edits import MAX_DIGITS, Edit, apply_edits, find_named, whole_number
from calibr_sandbox.ids import parse_gid
from calibr_sandbox.journal import read_entries
from calibr_sandbox.markets.hand_prices import set_prices
from calibr_sandbox.rows import VariantRow
from calibr_sandbox.webhook_trigger import trigger

_MAX_JOURNAL: Final = 10_000


class Control:
    """The handlers, on one shop."""

    def __init__(self, shop: Shop) -> None:
        """Serve this shop."""
        self._shop = shop

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/sandbox/health", guarded(self.health), methods=["GET"]),
            Route("/sandbox/stats", guarded(self.stats), methods=["GET"]),
            Route("/sandbox/journal", guarded(self.journal), methods=["GET"]),
            Route("/sandbox/variants/{id:path}", guarded(self.show_variant), methods=["GET"]),
            Route("/sandbox/variants/{id:path}", guarded(self.edit_variant), methods=["POST"]),
            Route("/sandbox/price-lists/{id:path}/prices", guarded(self.edit_prices), methods=["POST"]),
            Route("/sandbox/edits", guarded(self.edit_variants), methods=["POST"]),
            Route("/sandbox/faults", guarded(self.list_faults), methods=["GET"]),
            Route("/sandbox/faults", guarded(self.add_fault), methods=["POST"]),
            Route("/sandbox/faults", guarded(self.clear_faults), methods=["DELETE"]),
            Route("/sandbox/webhooks", guarded(self.list_webhooks), methods=["GET"]),
            Route("/sandbox/webhooks", guarded(self.add_webhook), methods=["POST"]),
            Route("/sandbox/webhooks", guarded(self.end_webhooks), methods=["DELETE"]),
            Route("/sandbox/webhooks/trigger", guarded(self.trigger_webhook), methods=["POST"]),
            Route("/sandbox/webhooks/{id}", guarded(self.end_webhook), methods=["DELETE"]),
            Route("/sandbox/throttle", guarded(self.throttle), methods=["POST"]),
            Route("/sandbox/bulk/advance", guarded(self.advance_bulk), methods=["POST"]),
            Route("/sandbox/bulk/fail", guarded(self.fail_bulk), methods=["POST"]),
            Route("/sandbox/bulk/expire/{id:path}", guarded(self.expire_bulk), methods=["POST"]),
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
        return {"writes": await run_in_threadpool(self._read_journal, after, min(limit, _MAX_JOURNAL))}

    async def show_variant(self, request: Request) -> object:
        """Return the stored values of a variant."""
        return _variant_json(find_named(self._shop.store, request.path_params["id"]))

    async def edit_variant(self, request: Request) -> object:
        """Set price, compareAtPrice or cost by hand, as a merchant does; null clears the last two."""
        body = await json_object(request)
        who = body.pop("who", "hand")
        (written,) = self._edit([Edit(request.path_params["id"], body)], who)
        return _variant_json(written)

    async def edit_variants(self, request: Request) -> object:
        """The same for many variants at once, in one transaction; `who` is told in the journal."""
        body = await json_object(request)
        edits = body.get("edits")
        if not isinstance(edits, list) or not all(isinstance(edit, dict) for edit in edits):
            raise BadInputError('send {"edits": [{"id": ..., "price": ...}, ...], "who": "..."}')
        wanted = [Edit(str(edit.pop("id", "")), edit) for edit in edits]
        return {"edited": len(self._edit(wanted, body.get("who", "hand")))}

    async def edit_prices(self, request: Request) -> object:
        """Set fixed prices of a price list by hand; a price of null takes one away. `who` is told in the journal."""
        body = await json_object(request)
        prices, who = body.get("prices"), body.get("who", "hand")
        if not isinstance(prices, list) or not all(isinstance(each, dict) for each in prices):
            raise BadInputError('send {"prices": [{"variant": ..., "price": ...}, ...], "who": "..."}')
        if not isinstance(who, str) or not who:
            raise BadInputError(f"who: {who!r} is no name")
        return {"edited": set_prices(self._shop.store, request.path_params["id"], prices, who)}

    def _edit(self, edits: list[Edit], who: object) -> list[VariantRow]:
        if not isinstance(who, str) or not who:
            raise BadInputError(f"who: {who!r} is no name")
        written = apply_edits(self._shop.store, edits, who)
        self._shop.webhooks.products_changed(row.product_id for row in written)
        return written

    async def list_faults(self, _request: Request) -> object:
        """List the fault rules in force."""
        return {"faults": self._shop.faults.rules()}

    async def add_fault(self, request: Request) -> object:
        """Put a fault rule into force."""
        self._shop.faults.add(read_rule(await json_object(request)))
        return {"faults": self._shop.faults.rules()}

    async def clear_faults(self, _request: Request) -> object:
        """Drop all fault rules."""
        self._shop.faults.clear()
        return {"faults": []}

    async def list_webhooks(self, _request: Request) -> object:
        """List who is told of what, and what became of the deliveries."""
        return {"webhooks": self._shop.webhooks.subscriptions()}

    async def add_webhook(self, request: Request) -> object:
        """Tell an address on this machine of a topic from now on."""
        body = await json_object(request)
        number = self._shop.webhooks.subscribe(body.get("topic"), body.get("url"))
        return {"id": number, "webhooks": self._shop.webhooks.subscriptions()}

    async def trigger_webhook(self, request: Request) -> object:
        """Send a webhook that has no cause in the sandbox."""
        return trigger(self._shop, await json_object(request))

    async def end_webhook(self, request: Request) -> object:
        """End one subscription."""
        number = whole_number(request.path_params["id"])
        if number is None:
            raise LookupError(f"there is no webhook {request.path_params['id']!r}")
        self._shop.webhooks.unsubscribe(number)
        return {"webhooks": self._shop.webhooks.subscriptions()}

    async def end_webhooks(self, _request: Request) -> object:
        """End all subscriptions."""
        self._shop.webhooks.unsubscribe()
        return {"webhooks": []}

    async def throttle(self, _request: Request) -> object:
        """Empty every app's bucket now."""
        for name in (*self._shop.config.tokens, self._shop.config.client_id):
            self._shop.bucket(name).drain()
        return {"status": "drained"}

    async def advance_bulk(self, _request: Request) -> object:
        """Let bulk operations that wait out their delay go on now."""
        self._shop.bulk.advance()
        return {"status": "advanced"}

    async def fail_bulk(self, request: Request) -> object:
        """Let the next bulk operation that begins fail after so many objects or lines."""
        body = await json_object(request)
        after, code = body.get("after", 0), body.get("errorCode", "INTERNAL_SERVER_ERROR")
        if not isinstance(after, int) or isinstance(after, bool) or after < 0:
            raise BadInputError(f"after: {after!r} is not a whole number of zero or more")
        self._shop.bulk.fail_next(Failure(after, str(code)))
        return {"after": after, "errorCode": code}

    async def expire_bulk(self, request: Request) -> object:
        """Let the result of a completed bulk operation be too old to be kept."""
        parsed = parse_gid(request.path_params["id"])
        number = whole_number(request.path_params["id"]) if parsed is None else parsed.number
        self._shop.bulk.expire(number or 0)
        return {"status": "EXPIRED"}

    async def bulk_result(self, request: Request) -> Response:
        """Send the result file of a completed bulk operation."""
        path = self._shop.bulk.result_file(request.path_params["name"])
        if path is None or not path.exists():
            return Response("no such result", status_code=404, media_type="text/plain")
        return FileResponse(path, media_type="application/jsonl")

    # Both read from a snapshot, because on a large shop they take long enough to hold up writers.
    def _count(self) -> dict[str, object]:
        with self._shop.store.snapshot() as reader:
            of_variants = "SELECT source, count(*) FROM journal WHERE price_list_id IS NULL GROUP BY source"
            by_source = dict(reader.fetch_all(of_variants))
            fixed = reader.fetch_value("SELECT count(*) FROM journal WHERE price_list_id IS NOT NULL")
            return {
                **self._shop.stats.as_json(),
                "faults": self._shop.faults.hits.total(),
                "faults_injected": dict(self._shop.faults.hits),
                "webhooks": self._shop.webhooks.counts(),
                "products": reader.fetch_value("SELECT count(*) FROM product"),
                "variants": reader.fetch_value("SELECT count(*) FROM variant"),
                "accepted_variant_writes": by_source.get("api", 0),
                "edits_by_hand": by_source.get("hand", 0),
                "fixed_price_writes": fixed,
            }

    def _read_journal(self, after: int, limit: int) -> list[dict[str, Any]]:
        with self._shop.store.snapshot() as reader:
            return read_entries(reader, after, limit)


def _integer(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    number = whole_number(text)
    if number is None:
        raise BadInputError(f"{name}: {text!r} is not a whole number of up to {MAX_DIGITS} digits")
    return number


def _variant_json(row: VariantRow) -> dict[str, object]:
    return row._asdict()
