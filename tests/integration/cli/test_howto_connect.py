"""Every command of the howto on connecting a store works as it stands there; what it asks is answered on a terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from terminal import Installation

from calibr.cli.demo.processes import run_once
from calibr.connectors.shopify.scopes import REQUIRED_SCOPES

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "connect-shopify.md"
FENCE = re.compile(r"^```sh ?(?P<how>\w*)\n(?P<commands>.*?)^```$", re.MULTILINE | re.DOTALL)
SECRET = "shpss_sandbox"


def blocks(how: str) -> list[str]:
    return [found["commands"] for found in FENCE.finditer(PAGE.read_text(encoding="utf-8")) if found["how"] == how]


@pytest.fixture
def reader(installation: Installation) -> dict[str, str]:
    """The environment of somebody who follows the page, with a tenant of their own and a sandbox as their store."""
    command = ["calibr", "tenant", "create", "Reader", "--admin", "Ada", "--json", "--data-dir", installation.data_dir]
    made = run_once(command)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("CALIBR_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CALIBR_PROFILE": "/nonexistent/profile.json",
        "CALIBR_URL": installation.server.url,
        "CALIBR_TOKEN": str(made["token"]),
        "SHOPIFY_CLIENT_ID": "calibr-sandbox-app",
        "SHOPIFY_CLIENT_SECRET": SECRET,
        "SHOPIFY_TOKEN": "shpat_sandbox",
    }


@pytest.mark.slow
def test_the_commands_of_the_page_work(installation: Installation, reader: dict[str, str]) -> None:
    script = re.sub(r"https://\w+-store\.myshopify\.com", installation.store.url, "\n".join(blocks("")))

    done = subprocess.run(
        ["bash", "-euxc", script], env=reader, capture_output=True, text=True, check=False, timeout=180
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "let in by    client-credentials" in done.stdout
    assert "their-store waits for the owner" in done.stdout
    assert re.search(r"http://127\.0\.0\.1:\d+/admin/oauth/authorize\?\S*state=", done.stderr)
    assert SECRET not in done.stdout
    assert script.count("calibr ") == 12


class Typist:
    """A terminal on which somebody types."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.seen = ""
        pid, self.screen = pty.fork()
        if pid == 0:
            os.execvpe(command[0], command, {**environment, "TERM": "dumb", "COLUMNS": "200"})  # noqa: S606 - calibr
        self.pid = pid

    def read_until(self, wanted: str) -> None:
        deadline = time.monotonic() + 30
        start = len(self.seen)
        while wanted not in self.seen[start:]:
            assert time.monotonic() < deadline, self.seen
            ready, _, _ = select.select([self.screen], [], [], 0.2)
            if ready:
                try:
                    self.seen += os.read(self.screen, 65_536).decode()
                except OSError:
                    break
        assert wanted in self.seen[start:], self.seen

    def answer(self, question: str, text: str) -> None:
        self.read_until(question)
        time.sleep(0.2)  # the echo is switched off for a secret just after its question
        os.write(self.screen, f"{text}\n".encode())

    def end(self) -> int:
        with_rest = time.monotonic() + 60
        while time.monotonic() < with_rest:
            try:
                more = os.read(self.screen, 65_536).decode()
            except OSError:  # the terminal of a process that has ended
                break
            if not more:
                break
            self.seen += more
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


@pytest.mark.slow
def test_on_a_terminal_it_asks_and_says_where_to_click(installation: Installation, reader: dict[str, str]) -> None:
    (command,) = blocks("terminal")
    typist = Typist(command.split(), reader)

    typist.answer("store:", installation.store.url)
    typist.answer("name", "typed")
    typist.answer("method", "")
    typist.answer("client id:", "calibr-sandbox-app")
    typist.answer("client secret (not shown):", SECRET)
    code = typist.end()

    assert code == 0, typist.seen
    assert "typed  shopify  active" in typist.seen
    assert "https://dev.shopify.com/dashboard" in typist.seen
    assert ",".join(REQUIRED_SCOPES) in typist.seen
    assert SECRET not in typist.seen


@pytest.mark.slow
def test_a_terminal_that_asks_for_consent_waits_for_it(installation: Installation, reader: dict[str, str]) -> None:
    options = ["--name", "asked", "--shop-url", installation.store.url, "--method", "authorization-code"]
    typist = Typist(["calibr", "connect", "shopify", *options], reader)

    typist.answer("client id:", "calibr-sandbox-app")
    assert "/v1/oauth/callback" in typist.seen
    typist.answer("client secret (not shown):", SECRET)
    typist.read_until("The app must list")
    url = re.search(r"http://\S+/admin/oauth/authorize\S+", typist.seen)
    assert url is not None
    agreed = httpx2.get(url[0], follow_redirects=True, trust_env=False, timeout=30)

    assert "asked is connected to Calibr" in agreed.text
    assert typist.end() == 0, typist.seen
    assert "asked  shopify  active" in typist.seen


def test_the_page_names_each_scope_with_what_it_is_for() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert f"\n   {','.join(REQUIRED_SCOPES)}\n" in page
    for scope, purpose in REQUIRED_SCOPES.items():
        assert f"| `{scope}` | {purpose}" in page


def test_every_fence_of_the_page_is_run() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text.count("\n```sh") == len(blocks("")) + len(blocks("terminal"))
