"""A server on a real socket that misbehaves on the wire: what a library mock cannot show."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Misbehavior = Callable[[socket.socket], None]


@dataclass
class OddServer:
    """Reads one request per connection, keeps it, and lets `behave` answer."""

    behave: Misbehavior
    url: str = ""
    requests: list[bytes] = field(default_factory=list)


def read_request(connection: socket.socket) -> bytes:
    """Read a request with its body."""
    received = b""
    while b"\r\n\r\n" not in received:
        block = connection.recv(65_536)
        if not block:
            return received
        received += block
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length and (block := connection.recv(65_536)):
        body += block
    return head + b"\r\n\r\n" + body


@contextmanager
def odd_server(behave: Misbehavior) -> Iterator[OddServer]:
    """Serve on a free port of this machine until the end of the block."""
    state = OddServer(behave)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            state.requests.append(read_request(self.request))
            state.behave(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, *_: object) -> None:
            """Stay silent: broken connections are the point."""

    with Server(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def answer(body: bytes, *, status: str = "200 OK", headers: str = "") -> Misbehavior:
    """Answer with these bytes and close, without having said so."""

    def behave(connection: socket.socket) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        connection.sendall(head.encode() + body)

    return behave


def hang_up(_connection: socket.socket) -> None:
    """Close without a word."""


def hang_up_within(body: bytes) -> Misbehavior:
    """Announce more than is sent, then close."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body)

    return behave


def babble(connection: socket.socket) -> None:
    """Answer with something that is not HTTP."""
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")


def flood(connection: socket.socket) -> None:
    """Send a body without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    block = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    while True:
        connection.sendall(block)


def gzip_bomb() -> Misbehavior:
    """Send little that becomes much."""
    import gzip  # noqa: PLC0415 - one test needs it

    body = gzip.compress(b"x" * (64 << 20))
    return answer(body, headers="Content-Encoding: gzip\r\n")
