"""`NOTIFY calibr_event`: a hint that there may be work, so that nobody waits for the next poll. Nothing relies on it.

It is sent after the commit, from a connection of its own and at most every 50 ms: inside the transaction it would take
a lock that serialises the commits of all tenants. It has no payload, since every tenant could read it.
"""

import threading
from collections.abc import Callable
from typing import Final

import psycopg
import structlog

CHANNEL: Final = "calibr_event"
QUIET_S: Final = 0.05
LISTEN_S: Final = 1.0
RETRY_S: Final = 2.0

Open = Callable[[], psycopg.Connection]
log = structlog.stdlib.get_logger("calibr.db")


class Bell:
    """Rings for everybody who listens. Thread-safe, never blocks, never raises; starts its thread at the first ring."""

    def __init__(self, open_connection: Open) -> None:
        self._open = open_connection
        self._rung = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        """Let workers look for work soon."""
        self._rung.set()
        if self._thread is None and not self._closed.is_set():
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="bell", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._rung.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        connection: psycopg.Connection | None = None
        while not self._closed.is_set():
            self._rung.wait()
            self._rung.clear()
            try:
                if connection is None:
                    connection = self._open()
                    connection.autocommit = True
                connection.execute(f"notify {CHANNEL}")
            except psycopg.Error:
                _close(connection)
                connection = None
                self._closed.wait(RETRY_S)
            self._closed.wait(QUIET_S)
        _close(connection)


class Listener:
    """Calls back when somebody rings. Also after each reconnect, since a ring may have been missed."""

    def __init__(self, open_connection: Open, heard: Callable[[], None]) -> None:
        self._open = open_connection
        self._heard = heard
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="listener", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, within about a second."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._closed.is_set():
            try:
                with self._open() as connection:
                    self._listen(connection)
            except psycopg.Error as error:
                log.info("db.listener_lost", error=type(error).__name__)
                self._closed.wait(RETRY_S)

    def _listen(self, connection: psycopg.Connection) -> None:
        connection.autocommit = True
        connection.execute(f"listen {CHANNEL}")
        self._heard()
        while not self._closed.is_set():
            for _ in connection.notifies(timeout=LISTEN_S, stop_after=1):
                self._heard()


def _close(connection: psycopg.Connection | None) -> None:
    if connection is not None:
        connection.close()
