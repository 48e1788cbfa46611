"""The REST client of the command line: one door to the API, with idempotency keys, request ids and retries."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import orjson
import stamina

from calibr.cli.failures import FAILED, CliError, Unreachable, from_problem
from calibr.core.ids import new_uuid
from calibr.core.written_json import JsonNumber

Json = dict[str, Any]
Body = Mapping[str, object]
Query = Mapping[str, str | int | None]

PAGE: Final = 500
_TIMEOUT: Final = httpx2.Timeout(60, connect=5)
_ATTEMPTS: Final = 4
_IN_FLIGHT_S: Final = 60.0
_ASK_AGAIN_S: Final = 0.3
_FIRST_ERROR: Final = 400
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(slots=True)
class Client:
    """Speaks with one Calibr server as one user.

    A request that got no answer is repeated: a GET is harmless, and a POST carries an idempotency key, so that the
    server answers a repeat with the first result.
    """

    url: str
    token: str | None = field(repr=False)
    _http: httpx2.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise CliError(f"url: {self.url!r} is not an address like http://127.0.0.1:8484")
        headers = {"User-Agent": "calibr-cli", "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            # A proxy of the environment must never see what stays on this host.
            outside = parts.hostname not in _LOOPBACK
            self._http = httpx2.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT, trust_env=outside)
        except (UnicodeEncodeError, ValueError):
            raise CliError("token: it holds characters that no token has") from None

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Json:
        """GET one JSON object."""
        return _json(self._send("GET", path, query=query))

    def post(self, path: str, body: Body | None = None) -> Json:
        """POST; safe to repeat on a lost answer, since every call has an idempotency key of its own."""
        headers = {"Idempotency-Key": str(new_uuid())}
        return _json(self._send("POST", path, body=body or {}, headers=headers))

    def delete(self, path: str) -> None:
        """DELETE; what is gone already is an error of the server."""
        self._send("DELETE", path)

    def lines(self, path: str, query: Query | None = None) -> Iterator[str]:
        """Stream a text, line by line."""
        params = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            with self._http.stream("GET", path, params=params, headers=_request_id()) as response:
                if response.status_code >= _FIRST_ERROR:
                    response.read()
                    _raise_for(response)
                yield from response.iter_lines()
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error

    def pages(self, path: str, query: Query | None = None, *, limit: int | None = None) -> Iterator[Json]:
        """All items of a list, page after page, or the first `limit`."""
        left = limit
        after: str | None = None
        while left is None or left > 0:
            size = PAGE if left is None else min(left, PAGE)
            page = self.get(path, {**(query or {}), "limit": size, "after": after})
            items = page.get("items")
            rows = items if isinstance(items, list) else []
            yield from rows
            after = str(page["next"]) if page.get("next") else None
            if after is None:
                return
            left = None if left is None else left - len(rows)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        params = {name: value for name, value in (query or {}).items() if value is not None}
        sent = {**(headers or {}), **_request_id()}
        content = None
        if body is not None:
            content, sent["Content-Type"] = encode(body), "application/json"
        try:
            response = _answered(lambda: self._http.request(method, path, params=params, content=content, headers=sent))
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error
        if response.status_code >= _FIRST_ERROR:
            _raise_for(response)
        return response

    def _unreachable(self, error: httpx2.TransportError) -> Unreachable:
        if isinstance(error, httpx2.TimeoutException) and not isinstance(error, httpx2.ConnectTimeout):
            return Unreachable(f"{self.url} did not answer in time; the request may still have been carried out")
        return Unreachable(f"cannot reach {self.url} — is `calibr serve` running?")


def encode(body: Body) -> bytes:
    """The bytes of a request. Numbers of a document keep the form in which they were written."""
    return orjson.dumps(body, default=_as_written, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def _as_written(value: object) -> orjson.Fragment:
    if isinstance(value, JsonNumber):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _answered(send: Callable[[], httpx2.Response]) -> httpx2.Response:
    """The answer; while the server is still at work on a request whose answer was lost, ask again."""
    until = time.monotonic() + _IN_FLIGHT_S
    while True:
        response = _repeated(send)
        in_flight = response.status_code == HTTPStatus.CONFLICT and b"idempotency.in_flight" in response.content
        if not in_flight or time.monotonic() > until:
            return response
        time.sleep(_ASK_AGAIN_S)


@stamina.retry(on=httpx2.TransportError, attempts=_ATTEMPTS, timeout=None, wait_initial=0.1, wait_max=0.5)
def _repeated(send: Callable[[], httpx2.Response]) -> httpx2.Response:
    return send()


def _request_id() -> dict[str, str]:
    return {"X-Request-Id": str(new_uuid())}


def _json(response: httpx2.Response) -> Json:
    try:
        parsed = response.json()
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise CliError(f"{response.url} did not answer with a JSON object; is it a Calibr server?", FAILED)
    return parsed


def _raise_for(response: httpx2.Response) -> None:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"detail": f"{response.url} answered {response.status_code}; is it a Calibr server?"}
    raise from_problem(response.status_code, problem)
