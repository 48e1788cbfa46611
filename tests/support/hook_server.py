"""A receiver of webhooks for tests: records what comes and answers as it is told."""

import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Reply:
    """How to answer one request.

    `delay_s` passes before the first byte, `drop` resets the connection instead of answering, and with `trickle_s`
    every byte of the answer waits that long.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0
    drop: bool = False
    trickle_s: float = 0.0

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Told", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True)
class HookRequest:
    """One request as it came. Names of headers are in lower case; `at` is monotonic, `peer` tells connections apart."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    peer: tuple[str, int]


class HookServer:
    """Listens on a free port of 127.0.0.1 from entering to leaving; `with HookServer() as server: server.url`.

    Answers come from `script` first, then from `answer`, which may be replaced by any function of a request.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Callable[[HookRequest], Reply] = lambda _: Reply()
        self._script: deque[Reply] = deque()
        self._requests: list[HookRequest] = []
        self._arrived = threading.Condition()
        self.stopping = threading.Event()
        self.accepted = 0
        self._server = _Listener(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.tls = tls
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}/hook"

    @property
    def requests(self) -> list[HookRequest]:
        with self._arrived:
            return list(self._requests)

    def script(self, *replies: Reply) -> None:
        """Answer the next requests like this, one each."""
        with self._arrived:
            self._script.extend(replies)

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[HookRequest]:
        """Wait until so many requests have come in all; fails when they do not."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: len(self._requests) >= count, timeout_s)
            assert came, f"{len(self._requests)} requests instead of {count} after {timeout_s} s"
            return list(self._requests)

    def wait_until_idle(self, timeout_s: float = 5.0) -> None:
        """Wait until no connection is open; fails when one stays."""
        deadline = time.monotonic() + timeout_s
        while self._server.open_count:
            assert time.monotonic() < deadline, f"{self._server.open_count} connections are still open"
            time.sleep(0.005)

    def take(self, request: HookRequest) -> Reply:
        with self._arrived:
            self._requests.append(request)
            reply = self._script.popleft() if self._script else None
            self._arrived.notify_all()
        return self.answer(request) if reply is None else reply

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    owner: HookServer

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[socket.socket] = set()

    @property
    def open_count(self) -> int:
        return len(self._open)

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self.owner.accepted += 1
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: object) -> None:
        assert isinstance(request, socket.socket)
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what many tests are about."""

    def server_close(self) -> None:
        # Idle connections would keep their threads, and leaving waits for those.
        for each in list(self._open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.socket.close()
        deadline = time.monotonic() + 5
        while self._open and time.monotonic() < deadline:
            time.sleep(0.005)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner, peer = self.server.owner, (str(self.client_address[0]), int(self.client_address[1]))
        request = HookRequest(self.command, self.path, headers, body, time.monotonic(), peer)
        self._send(owner.take(request))

    do_GET = do_POST  # noqa: N815 - the names that the standard library looks for

    def _send(self, reply: Reply) -> None:
        stopping = self.server.owner.stopping
        if reply.delay_s and stopping.wait(reply.delay_s):
            self.close_connection = True
            return
        if reply.drop:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.close_connection = True
            self.connection.close()
            return
        answer = reply.head() + reply.body
        if not reply.trickle_s:
            self.wfile.write(answer)
            return
        for byte in answer:
            if stopping.wait(reply.trickle_s):
                break
            self.wfile.write(bytes([byte]))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the standard library
        """Say nothing."""


class SlowPeer:
    """Takes one connection, reads a little now and then (or sends `answer` at once) and keeps it open until left."""

    def __init__(self, answer: bytes | None = None) -> None:
        self._answer = answer
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        peer, _ = self._listener.accept()
        with peer:
            if self._answer is not None:
                peer.recv(65536)
                peer.sendall(self._answer)
            while not self._stopping.wait(0.01):
                if self._answer is None and not peer.recv(65536):
                    return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(5)
        self._listener.close()
