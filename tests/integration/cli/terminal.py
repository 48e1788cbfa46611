"""What the tests of the command line work with: a terminal, what a command left on it, and an installation."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from calibr.cli import run
from calibr.cli.client import Client
from calibr.cli.demo.processes import Launched, run_once


@dataclass(frozen=True)
class Ended:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        """The one JSON document of a command that was run with `--json`."""
        return json.loads(self.out)


@dataclass
class Terminal:
    """Runs commands in this process, as one person at a time."""

    capture: pytest.CaptureFixture[str]
    environment: pytest.MonkeyPatch

    def __call__(self, *arguments: str) -> Ended:
        self.capture.readouterr()
        code = run(arguments)
        told = self.capture.readouterr()
        return Ended(code, told.out, told.err)

    def become(self, url: str, token: str) -> None:
        """Ask as somebody from now on."""
        self.environment.setenv("CALIBR_URL", url)
        self.environment.setenv("CALIBR_TOKEN", token)


@dataclass(frozen=True)
class Installation:
    """A server with a tenant of three people, and a store of 60 products."""

    server: Launched
    store: Launched
    data_dir: str
    tokens: dict[str, str] = field(repr=False)


def found_tenant(server: Launched, data_dir: str, name: str) -> dict[str, str]:
    """Make a tenant of three people; returns their tokens by role."""
    made = run_once(["calibr", "tenant", "create", name, "--admin", "Ada", "--json", "--data-dir", data_dir])
    tokens = {"admin": str(made["token"])}
    admin = Client(server.url, tokens["admin"])
    for who, role in (("Arlo", "author"), ("Petra", "approver")):
        user = admin.post("/v1/users", {"name": who, "role": role})
        tokens[role] = str(admin.post("/v1/tokens", {"name": "t", "user_id": user["id"]})["token"])
    admin.close()
    return tokens
