"""A CONNECT proxy that knows one way only: whatever host is asked for, the bytes go to the sandbox's TLS port."""

import asyncio
import socket
from typing import Final

from calibr_sandbox.certificates import stands_for

_MAX_HEAD: Final = 16_384
_TIMEOUT_S: Final = 10.0
_CHUNK: Final = 65_536
_OPEN: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ConnectProxy:
    """Tunnels from a listening socket to one address on this machine."""

    def __init__(self, listener: socket.socket, target: tuple[str, int]) -> None:
        """Take connections from the listener, once started."""
        self._listener = listener
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Begin to take connections."""
        self._server = await asyncio.start_server(self._serve, sock=self._listener, limit=_MAX_HEAD)

    async def stop(self) -> None:
        """Take no more, and cut the tunnels that are open."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            refusal = await _refusal(reader)
            if refusal is None:
                await self._tunnel(reader, writer)
            else:
                writer.write(refusal)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has gone or speaks no HTTP; there is nobody to tell
        finally:
            self._open.discard(writer)
            writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(*self._target)
        self._open.add(inner_writer)
        try:
            writer.write(_OPEN)
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        finally:
            self._open.discard(inner_writer)
            inner_writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Carry bytes until the source ends, and end the sink then: a cut must come through as a cut."""
    try:
        while chunk := await source.read(_CHUNK):
            sink.write(chunk)
            await sink.drain()
    except OSError:
        sink.transport.abort()
        return
    if not sink.is_closing():
        sink.write_eof()


async def _refusal(reader: asyncio.StreamReader) -> bytes | None:
    """Read the request's head; None if it asks for a tunnel to a host that the sandbox stands for."""
    async with asyncio.timeout(_TIMEOUT_S):
        head = await reader.readuntil(b"\r\n\r\n")
    method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    target = rest.partition(" ")[0]
    if method != "CONNECT":
        return _answer("405 Method Not Allowed", "This proxy takes CONNECT only: ask for an https address.")
    host = target.rpartition(":")[0]
    if not stands_for(host):
        return _answer("403 Forbidden", f"The sandbox does not stand for {host[:200]!r}; its shop is *.myshopify.com.")
    return None


def _answer(status: str, sentence: str) -> bytes:
    body = f"{sentence}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
