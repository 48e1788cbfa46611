"""A real server process with a sandbox store, and commands run in this process against it."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calibr.cli.demo.processes import Processes
from calibr.cli.demo.workspace import workspace

sys.path.insert(0, str(Path(__file__).parent))

from terminal import Installation, Terminal, found_tenant


@pytest.fixture
def calibr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal without settings of its own; signals mean afterwards what they meant before."""
    for name in [name for name in os.environ if name.startswith("CALIBR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CALIBR_PROFILE", "/nonexistent/profile.json")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield Terminal(capsys, monkeypatch)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    with workspace() as place:
        processes = Processes(place)
        try:
            data_dir = str(place.data_dir)
            store = processes.launch(
                "store", ["calibr_sandbox", "serve", "--db", str(place.store_file), "--products", "60"]
            )
            server = processes.launch(
                "server",
                ["calibr", "serve", "--json", "--port", "0", "--data-dir", data_dir],
                {"CALIBR_ALLOW_LOOPBACK_STORES": "true"},
            )
            store.await_ready()
            server.await_ready()
            yield Installation(server, store, data_dir, found_tenant(server, data_dir, "Shop"))
        finally:
            processes.end_all()


@pytest.fixture
def author(calibr: Terminal, installation: Installation) -> Terminal:
    calibr.become(installation.server.url, installation.tokens["author"])
    return calibr
