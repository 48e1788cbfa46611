"""The last words: what was proved, and, for those who stay, what to try next."""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table
from rich.text import Text

from calibr.cli.demo.scene import Measured, Person, Scene
from calibr.cli.failures import FAILED, CliError
from calibr.cli.histogram import FLAT

_POLL_S = 0.5


def conclude(scene: Scene) -> None:
    """Sum up what was measured."""
    tell, measured = scene.narrator, scene.measured
    seconds = tell.seconds
    tell.heading(Text("It holds", "bold green") if measured.holds else Text("It does not hold", "bold red"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=FLAT)
    grid.add_column()
    for label, value in _results(measured, seconds):
        grid.add_row(label, value)
    tell.draw(grid)


def stay(scene: Scene) -> None:
    """Say where everything is and keep it running until Ctrl-C."""
    tell, people = scene.narrator, scene.people
    server, sandbox = scene.server, scene.sandbox
    if server is None or sandbox is None:
        return
    calibr = _program()
    tell.heading(Text("Still running: try it", "bold"))
    tell.say("API            ", (server.url, "bold"), f"   ({server.url}/openapi.json says what it offers)")
    tell.say("sandbox store  ", (sandbox.url, "bold"))
    tell.show(Text("Paste in another terminal; first as the author, then as the approver:", FLAT))
    _paste(scene, people.author, [
        f"{calibr} products --limit 10",
        f"{calibr} change new summer --everything --percent -5 --ending 0.95 --compare-at old-price",
        f"{calibr} change preview summer && {calibr} change submit summer",
    ])  # fmt: skip
    _paste(scene, people.approver, [f"{calibr} change approve summer", f"{calibr} change apply summer"])
    tell.say(("Ctrl-C ends everything and removes its directory.", FLAT))
    try:
        _watch(scene)
    except KeyboardInterrupt:
        return


def _results(measured: Measured, seconds: Mapping[str, float]) -> list[tuple[str, str]]:
    plan = measured.previewed
    planned = ", ".join(f"{plan[key]:,} {key}" for key in ("selected", "down", "up", "clamped", "blocked"))
    back = f"{measured.restored:,} restored, {measured.diverged:,} diverged"
    return [
        ("ingested", f"{measured.ingested:,} products in {seconds['ingest']:.1f} s"),
        ("previewed", f"{planned}, in {seconds['preview']:.1f} s"),
        ("applied", f"{measured.applied:,} prices in {seconds['apply']:.1f} s"),
        ("store", "shows the plan" if measured.store_matches_plan else "does not show the plan"),
        ("rolled back", f"{back}, in {seconds['rollback']:.1f} s"),
        ("audit", f"{measured.events:,} events, {measured.unaudited_changes:,} unaudited changes"),
        ("time", f"{seconds['total']:.0f} s"),
    ]


def _paste(scene: Scene, person: Person, commands: list[str]) -> None:
    server = scene.server.url if scene.server else ""
    lines = [f"export CALIBR_URL={server} CALIBR_TOKEN={person.token}   # {person.name}, {person.role}", *commands]
    for line in lines:
        scene.narrator.page.print(line, soft_wrap=True)
    scene.narrator.page.print()


def _watch(scene: Scene) -> None:
    while True:
        for running in scene.processes.running:
            code = running.process.poll()
            if code is not None:
                raise CliError(f"the {running.name} ended with {code}", FAILED)
        time.sleep(_POLL_S)


def _program() -> str:
    """How to call this program from the directory that the person is in."""
    beside = Path(sys.executable).with_name("calibr")
    found = shutil.which("calibr")
    if found is not None and Path(found).samefile(beside):
        return "calibr"
    if not beside.exists():
        return f"{shlex.quote(sys.executable)} -m calibr"
    relative = os.path.relpath(beside)
    return shlex.quote(str(beside) if relative.startswith("../..") else relative)
