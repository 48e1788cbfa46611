"""HTTP that only reaches public addresses and always ends in time, whatever the other side does.

The check and the connection use one and the same answer of the resolver: a name that leads elsewhere a moment later
gains nothing. Redirects are not followed and proxies of the environment not used, since neither exists on this level.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httpcore2

from calibr.delivery.webhook.addresses import Address, AddressPolicy, is_public, read_address
from calibr.delivery.webhook.endpoint import Endpoint

Resolver = Callable[[str, int], Sequence[str]]
"""Addresses of a host name, as text. Raises `OSError` when there are none."""

RESPONSE_CAP_BYTES: Final = 64 * 1024

_MAX_CONNECTIONS: Final = 16
_KEEPALIVE_S: Final = 30.0
_DRAIN_S: Final = 1.0
_MAX_LOOKUPS: Final = 4


class AddressRefused(Exception):
    """A host name leads to an address that is not public. Which one is not told: it may map an inner network."""


class LookupFailed(Exception):
    """A host name could not be resolved."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status and the headers, names in lower case. The body is of no interest to us."""

    status: int
    headers: dict[str, str]


class PublicTransport:
    """Posts to one endpoint over pooled connections. Thread-safe.

    `tls` replaces the trust in the authorities of this system, for receivers with an authority of their own.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        policy: AddressPolicy,
        *,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._clock = _Clock()
        self._state = threading.Lock()
        self._requests = 0
        self._closed = False
        self._url = httpcore2.URL(
            scheme=endpoint.scheme.encode(),
            host=endpoint.host.encode(),
            port=endpoint.port,
            target=endpoint.target.encode(),
        )
        self._pool = httpcore2.ConnectionPool(
            ssl_context=tls or (_system_trust() if endpoint.scheme == "https" else None),
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=_MAX_CONNECTIONS,
            keepalive_expiry=_KEEPALIVE_S,
            network_backend=_Backend(
                self._clock,
                resolver or system_resolver,
                allow_loopback=policy.allow_loopback and endpoint.is_loopback,
            ),
        )

    def post(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
        """Send a request and read status and headers; all of it, the lookup included, ends within `timeout_s`.

        Raises:
            AddressRefused: the host leads to an address that is not public.
            LookupFailed: the host has no address.
            httpcore2.TimeoutException: the time is over; the request may have arrived.
            httpcore2.NetworkError: no connection, or it broke; the request may have arrived.
            httpcore2.ProtocolError: the answer is no HTTP.
        """
        self._clock.start(timeout_s)
        sent = [("host", self._endpoint.authority), ("accept-encoding", "identity"), *headers.items()]
        extensions = {"timeout": dict.fromkeys(("pool", "connect", "read", "write"), timeout_s)}
        with (
            self._in_use(),
            self._pool.stream("POST", self._url, headers=sent, content=body, extensions=extensions) as response,
        ):
            answer = Answer(response.status, {_text(name).lower(): _text(value) for name, value in response.headers})
            self._drain(response)
        return answer

    def close(self) -> None:
        """Refuse new requests and close all connections, once the requests that are under way have ended."""
        with self._state:
            self._closed = True
            is_idle = self._requests == 0
        if is_idle:
            self._pool.close()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        # A socket that is closed under a thread which reads from it can leave that thread with the next connection
        # of the same number, so the last one out closes.
        with self._state:
            if self._closed:
                raise httpcore2.ConnectError("The transport is closed.")
            self._requests += 1
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._state:
            self._requests -= 1
            is_last = self._closed and self._requests == 0
        if is_last:
            self._pool.close()

    def _drain(self, response: httpcore2.Response) -> None:
        # The answer is known by its head. A short body is read off so that the connection can serve again; one that
        # is long, slow or broken costs the connection and changes nothing else.
        self._clock.shorten(_DRAIN_S)
        length = 0
        with suppress(httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
            for chunk in response.iter_stream():
                length += len(chunk)
                if length > RESPONSE_CAP_BYTES:
                    return


def system_resolver(host: str, port: int) -> list[str]:
    """Ask the operating system, which knows no time limit: call it from a thread that can be left behind."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@cache
def _system_trust() -> ssl.SSLContext:
    # Reading the authorities takes a while; left to the pool it would happen for each connection.
    return httpcore2.default_ssl_context()


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")


class _Clock(threading.local):
    """When the request of this thread has to be over. A pooled connection serves many threads in turn."""

    end: float = 0.0

    def start(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def shorten(self, seconds: float) -> None:
        self.end = min(self.end, time.monotonic() + seconds)

    def left(self, late: type[httpcore2.TimeoutException]) -> float:
        seconds = self.end - time.monotonic()
        if seconds <= 0:
            raise late("The time is over.")
        return seconds


class _Backend(httpcore2.NetworkBackend):
    """Opens connections to checked addresses only. Each new connection resolves anew."""

    def __init__(self, clock: _Clock, resolver: Resolver, *, allow_loopback: bool) -> None:
        self._clock = clock
        self._resolver = resolver
        self._allow_loopback = allow_loopback
        self._lookups = threading.BoundedSemaphore(_MAX_LOOKUPS)
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - a limit for a single step; the clock counts the whole
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        addresses = self._allowed(host, port)
        for waiting in range(len(addresses), 0, -1):
            address = str(addresses[-waiting])
            share = self._clock.left(httpcore2.ConnectTimeout) / waiting
            try:
                stream = self._plain.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if waiting == 1:
                    raise
            else:
                return _Stream(stream, self._clock)
        raise LookupFailed

    def _allowed(self, host: str, port: int) -> list[Address]:
        # Every address is checked, not only the one that is taken: a name with a private address among its public
        # ones is an attack or a mistake, and must not work by luck.
        literal = read_address(host)
        found = [literal] if literal is not None else list(map(read_address, self._lookup(host, port)))
        allowed = [address for address in found if address is not None and self._is_allowed(address)]
        if len(allowed) < len(found):
            raise AddressRefused
        return list(dict.fromkeys(allowed))

    def _is_allowed(self, address: Address) -> bool:
        return is_public(address) or (self._allow_loopback and address.is_loopback)

    def _lookup(self, host: str, port: int) -> Sequence[str]:
        if not self._lookups.acquire(timeout=self._clock.left(httpcore2.ConnectTimeout)):
            raise httpcore2.ConnectTimeout("The resolver is stuck.")
        answers: queue.SimpleQueue[Sequence[str] | None] = queue.SimpleQueue()

        def ask() -> None:
            found: Sequence[str] | None = None
            try:
                with suppress(OSError, UnicodeError):
                    found = self._resolver(host, port)
            finally:
                self._lookups.release()
                answers.put(found)

        # A daemon thread: the end of the program does not wait for a name server.
        threading.Thread(target=ask, name="webhook-lookup", daemon=True).start()
        try:
            found = answers.get(timeout=self._clock.left(httpcore2.ConnectTimeout))
        except queue.Empty:
            raise httpcore2.ConnectTimeout("The resolver did not answer in time.") from None
        if not found:
            raise LookupFailed
        return found


class _Stream(httpcore2.NetworkStream):
    """A connection whose every step ends when the request has to: a peer that trickles gains no time."""

    def __init__(self, stream: httpcore2.NetworkStream, clock: _Clock) -> None:
        self._stream = stream
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the clock decides
        return self._stream.read(max_bytes, self._clock.left(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the clock decides
        # The stream's own write grants the whole time to each piece that the peer takes.
        sock: socket.socket = self._stream.get_extra_info("socket")
        rest = memoryview(buffer)
        while rest:
            try:
                sock.settimeout(self._clock.left(httpcore2.WriteTimeout))
                rest = rest[sock.send(rest) :]
            except TimeoutError as error:
                raise httpcore2.WriteTimeout("The time is over.") from error
            except OSError as error:
                raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the clock decides
    ) -> httpcore2.NetworkStream:
        try:
            left = self._clock.left(httpcore2.ConnectTimeout)
        except httpcore2.ConnectTimeout:
            self.close()
            raise
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the interface is untyped
        return self._stream.get_extra_info(info)
