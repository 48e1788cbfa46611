"""Speaks HTTP with one store: a call goes through the throttle, is sent once, and ends in data or in one `CallError`.

The token goes to the store's own address only and stands in no message. Redirects are not followed.
"""

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import orjson
import stamina

from calibr.connectors.shopify.answers import Answer, read_answer
from calibr.connectors.shopify.config import StoreConfig
from calibr.connectors.shopify.costs import CostBook
from calibr.connectors.shopify.documents import Document
from calibr.connectors.shopify.errors import (
    PROTOCOL,
    THROTTLED,
    UNREACHABLE,
    CallError,
    ThrottledError,
    TokenRefusedError,
    TooLateError,
)
from calibr.connectors.shopify.throttle import CALL_S, Clock, Throttle
from calibr.connectors.shopify.tokens import Held, Tokens

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
READ_ATTEMPTS: Final = 4
LONGEST_RETRY_WAIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class CallTimes:
    """How long the parts of one call may take, in seconds; together they never exceed `call_s`.

    No request starts later than `send_window_s` after the call did. From sending to the last byte an answer has
    `answer_s`, which a trickling one may exceed by one read, so by `read_s`.
    """

    send_window_s: float
    answer_s: float
    read_s: float

    @classmethod
    def of(cls, call_s: float) -> "CallTimes":
        """Divide the time of a call."""
        return cls(call_s * 3 / 8, call_s * 3 / 8, call_s / 4)

    @property
    def call_s(self) -> float:
        """No call is in flight for longer."""
        return self.send_window_s + self.answer_s + self.read_s

    @property
    def retry_wait_s(self) -> float:
        """The longest rest between two tries of a read."""
        return min(LONGEST_RETRY_WAIT_S, self.send_window_s / 6)

    def http(self) -> httpx2.Timeout:
        """The timeouts of the HTTP client: all up to the first read fits into the time of the answer."""
        short_s = min(5.0, self.read_s / 3)
        return httpx2.Timeout(self.read_s, connect=short_s, write=short_s, pool=short_s)


# Raised before the first byte of a request left: the store has not seen it.
_NOT_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)


class _TokenAuth(httpx2.Auth):
    """Adds the token when a request leaves, so that no header list that somebody prints carries it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Set the header of Shopify's Admin API."""
        request.headers["X-Shopify-Access-Token"] = self._token
        yield request


_LEAVING: Final = ("http11.send_request_headers.started", "http11.send_request_body.started")


@dataclass(frozen=True, slots=True)
class _LastLook:
    """Looks at the deadline once more right before bytes go out, when name lookup and connection are done.

    They may take longer than any timeout says, and the process may have been stopped: it must not send when somebody
    else owns the rows. Without its body a request is none, so that too late between the two is still nothing sent.
    """

    clock: Clock
    until: float

    def __call__(self, event: str, _info: Mapping[str, Any]) -> None:
        """Follow a request through the HTTP library. Raises `TooLateError` when it is too late to send."""
        if event in _LEAVING and self.clock() >= self.until:
            raise TooLateError(THROTTLED, "It was too late to send the call; nothing was sent.", retryable=True)


class ShopifyClient:
    """Thread-safe; connections are pooled. `close` ends them."""

    def __init__(
        self,
        config: StoreConfig,
        throttle: Throttle,
        *,
        connections: int,
        times: CallTimes | None = None,
        transport: httpx2.BaseTransport | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self.config = config
        self.tokens = tokens or Tokens(config, None)
        self.times = times or CallTimes.of(CALL_S)
        self.throttle = throttle
        self.costs = CostBook()
        self.served_version: str | None = None
        self.latencies_s: dict[str, float] = {}
        logging.getLogger("httpx2").addFilter(_WITHOUT_QUERIES)  # the same one again changes nothing
        self._http = httpx2.Client(
            follow_redirects=False,
            trust_env=not config.is_loopback,  # a proxy of the environment must not see a sandbox store
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
            timeout=self.times.http(),
            headers={"User-Agent": "calibr", "Accept": "application/json"},
            transport=transport,
        )

    def close(self) -> None:
        """End the pooled connections."""
        self._http.close()

    def insist(self, document: Document, variables: Mapping[str, Any], *, rows: int, until: float) -> dict[str, Any]:
        """Run an operation, again after a failure that may pass; `until` (the throttle's clock) bounds it all."""
        if not document.may_repeat:
            raise AssertionError(f"{document.name} must not be repeated")
        retries = stamina.retry_context(
            on=lambda err: _may_pass(err) and self.throttle.clock() < until - self.times.retry_wait_s,
            attempts=READ_ATTEMPTS,
            timeout=None,
            wait_initial=min(0.2, self.times.retry_wait_s),
            wait_max=self.times.retry_wait_s,
        )
        for attempt in retries:
            with attempt:
                return self.call(document, variables, rows=rows, until=until)
        raise AssertionError("the last attempt returns or raises")

    def call(self, document: Document, variables: Mapping[str, Any], *, rows: int, until: float) -> dict[str, Any]:
        """Run one operation, executed at most once: what was refused for want of points is repeated until `until`.

        What was refused for its token is repeated once with another one, if there is another one.
        """
        body = orjson.dumps({"query": document.text, "variables": variables, "operationName": document.name})
        refused = renewed = False
        token = self.tokens.get()
        while True:
            held = self.throttle.acquire(self.costs.expect(document, rows), until, first=refused)
            try:
                answer = self._exchange(document, body, until, token)
            except TooLateError:
                self.throttle.cancel(held)
                raise
            except ThrottledError as err:
                if err.report and err.report.requested is not None:
                    self.costs.learn(document, rows, err.report.requested)
                self.throttle.refuse(held, err)
                refused = True
                continue
            except TokenRefusedError as err:
                self.throttle.cancel(held)
                token = self._another_token(err, token, renewed=renewed)
                refused = renewed = True
                continue
            except CallError as err:
                self.throttle.settle(held, None) if err.maybe_executed else self.throttle.cancel(held)
                raise
            except BaseException:
                self.throttle.settle(held, None)
                raise
            self.throttle.settle(held, answer.report)
            if answer.report and answer.report.requested is not None:
                self.costs.learn(document, rows, answer.report.requested)
            return answer.data

    def _another_token(self, refusal: TokenRefusedError, token: Held, *, renewed: bool) -> Held:
        """The token to try again with. Raises the refusal when there is none, or the second one was refused too."""
        other = self.tokens.instead_of(token) if refusal.may_renew and not renewed else None
        if other is None:
            self.tokens.give_up(token, refusal)
            raise refusal
        return other

    @contextmanager
    def download(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        """Open a result file by its signed address, without the token. Raises `CallError` if it cannot be reached."""
        with _translated(None), self._http.stream("GET", url, headers=dict(headers)) as response:
            yield response

    def upload(self, url: str, fields: Mapping[str, str], name: str, content: bytes, until: float) -> int:
        """Post a form with a file as its last part, without the token; returns the HTTP status.

        Raises `CallError` if the address cannot be reached, or not in time.
        """
        ways = {"trace": _LastLook(self.throttle.clock, until)}
        with _translated(None):
            files = {"file": (name, content, "text/jsonl")}
            with self._http.stream("POST", url, data=dict(fields), files=files, extensions=ways) as response:
                self._read_body(response, until + self.times.answer_s)
                return response.status_code

    def _exchange(self, document: Document, body: bytes, until: float, token: Held) -> Answer:
        started = self.throttle.clock()
        headers = {"Content-Type": "application/json"}
        url = self.config.endpoint
        ways = {"trace": _LastLook(self.throttle.clock, until)}
        with (
            _translated(token.text),
            self._http.stream(
                "POST", url, content=body, auth=_TokenAuth(token.text), headers=headers, extensions=ways
            ) as response,
        ):
            content = self._read_body(response, started + self.times.answer_s)
            self.served_version = response.headers.get("x-shopify-api-version", self.served_version)
            answer = read_answer(response.status_code, response.headers, content)
        self._note_latency(document, self.throttle.clock() - started)
        return answer

    def _read_body(self, response: httpx2.Response, until: float) -> bytes:
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                message = f"Shopify's answer is larger than {MAX_ANSWER_BYTES} bytes."
                raise CallError(PROTOCOL, message, maybe_executed=True)
            if self.throttle.clock() > until:
                raise CallError(UNREACHABLE, "Shopify's answer takes too long.", retryable=True, maybe_executed=True)
        return bytes(content)

    def _note_latency(self, document: Document, seconds: float) -> None:
        # A moving average for estimates; a lost update between threads does not matter.
        known = self.latencies_s.get(document.name, seconds)
        self.latencies_s[document.name] = 0.9 * known + 0.1 * seconds


class _WithoutQueries(logging.Filter):
    """Cuts the query off the addresses that the HTTP library logs: in a signed address it is a credential."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                arg.copy_with(query=None) if isinstance(arg, httpx2.URL) else arg for arg in record.args
            )
        return True


_WITHOUT_QUERIES: Final = _WithoutQueries()


@contextmanager
def _translated(token: str | None) -> Iterator[None]:
    """Turn transport errors into ours, and keep the token out of every message (a server might echo it)."""
    try:
        yield
    except CallError as err:
        err.message = err.message if token is None else err.message.replace(token, "***")
        raise
    except httpx2.TransportError as err:
        sent = not isinstance(err, _NOT_SENT)
        reason = type(err).__name__
        when = "the request was sent but no answer came" if sent else "nothing was sent"
        message = f"Shopify cannot be reached ({reason}); {when}."
        raise CallError(UNREACHABLE, message, retryable=True, maybe_executed=sent) from err
    except httpx2.DecodingError as err:
        raise CallError(PROTOCOL, "Shopify's answer cannot be decoded.", retryable=True, maybe_executed=True) from err


def _may_pass(err: Exception) -> bool:
    return isinstance(err, CallError) and err.retryable and not isinstance(err, ThrottledError)
