"""A real NATS server with JetStream: suspended, killed, started again with the same store, an old or an empty one."""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

START_S = 15.0


def binary() -> str:
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else (shutil.which("nats-server") or "")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class NatsServer:
    """One server on one port, with its store in a folder."""

    folder: Path
    max_payload: int = 1_000_000
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def start(self) -> None:
        config = self.folder / "nats.conf"
        config.write_text(
            f"host: 127.0.0.1\nport: {self.port}\nmax_payload: {self.max_payload}\n"
            f'jetstream {{ store_dir: "{self.store}", sync_interval: always }}\n'
        )
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen([binary(), "-c", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=0.2).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise TimeoutError((self.folder / "nats.log").read_text())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def suspend(self) -> None:
        """It keeps its connections and the kernel takes new ones, but it answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def forget(self) -> None:
        """Lose the whole store."""
        self.kill()
        shutil.rmtree(self.store, ignore_errors=True)

    def keep(self) -> Path:
        """Restart with a copy of the store set aside."""
        self.kill()
        copy = Path(shutil.copytree(self.store, self.folder / "old"))
        self.start()
        return copy

    def fall_back(self, copy: Path) -> None:
        """Restart with an old store, as after a loss of what was not on disk."""
        self.forget()
        shutil.copytree(copy, self.store)
        self.start()

    def delete_stream(self, name: str) -> None:
        asyncio.run(self._on_jetstream(lambda context: context.delete_stream(name)))

    def make_stream(self, name: str, **config: Any) -> None:  # noqa: ANN401 - the client's options
        asyncio.run(self._on_jetstream(lambda context: context.add_stream(name=name, **config)))

    def edit_stream(self, name: str, **changes: Any) -> None:  # noqa: ANN401 - as above
        async def edit(context: Any) -> None:  # noqa: ANN401 - a client without types
            info = await context.stream_info(name)
            await context.update_stream(info.config.evolve(**changes))

        asyncio.run(self._on_jetstream(edit))

    def purge(self, name: str) -> None:
        asyncio.run(self._on_jetstream(lambda context: context.purge_stream(name)))

    def last_seq(self, name: str) -> int:
        info = asyncio.run(self._on_jetstream(lambda context: context.stream_info(name)))
        return int(info.state.last_seq)

    def messages(self, name: str) -> list[dict[str, Any]]:
        """What a consumer finds in a stream, in its order."""
        return asyncio.run(self._on_jetstream(lambda context: _all(context, name)))

    async def _on_jetstream(self, work: Any) -> Any:  # noqa: ANN401 - whatever the work returns
        client = await nats.connect(self.url)
        try:
            return await work(client.jetstream())
        finally:
            await client.close()


async def _all(context: Any, name: str) -> list[dict[str, Any]]:  # noqa: ANN401 - a client without types
    wanted = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE)
    info = await context.stream_info(name)
    consumer = await context.pull_subscribe("", stream=name, config=wanted)
    found: list[dict[str, Any]] = []
    while len(found) < info.state.messages:
        found += [
            {"subject": message.subject, "headers": dict(message.headers), "body": message.data}
            for message in await consumer.fetch(100, timeout=2)
        ]
    return found


def running_nats(folder: Path, max_payload: int = 1_000_000) -> Iterator[NatsServer]:
    """A server for one test; skipped where there is none."""
    if not binary():
        pytest.skip("nats-server is not installed")
    server = NatsServer(folder, max_payload)
    server.start()
    try:
        yield server
    finally:
        server.kill()
