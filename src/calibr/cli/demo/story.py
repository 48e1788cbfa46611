"""Tells the whole story in its order, reports what was measured, and ends every process that it started."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Final

from typer import Exit

from calibr.cli.demo import applying, ending, opening, planning, takeback, trail
from calibr.cli.demo.narrator import Narrator
from calibr.cli.demo.processes import Processes
from calibr.cli.demo.scene import Scene, Wish
from calibr.cli.demo.workspace import Workspace, workspace
from calibr.cli.failures import FAILED, REFUSED, CliError
from calibr.cli.output import Output
from calibr.cli.signals import held_back

_SECTIONS: Final = (
    opening.start,
    opening.introduce,
    opening.ingest,
    planning.plan,
    planning.show_rows,
    applying.approve,
    applying.apply,
    applying.verify,
    takeback.edit_by_hand,
    takeback.roll_back,
    trail.audit,
)


def tell(out: Output, wish: Wish) -> None:
    """Run the demo. Raises `typer.Exit` with 1 when something that must hold does not."""
    checked = _checked(wish)
    narrator = Narrator(out)
    with _stage(narrator) as processes, ExitStack() as closing:
        scene = Scene(checked, narrator, processes)
        closing.callback(scene.close)
        started = time.monotonic()
        for section in _SECTIONS:
            section(scene)
        narrator.seconds["total"] = round(time.monotonic() - started, 3)
        ending.conclude(scene)
        if out.as_json:
            out.result(scene.measured.document(narrator.seconds), lambda _: None)
        if not wish.leave:
            ending.stay(scene)
    if not scene.measured.holds:
        raise Exit(FAILED)


def _checked(wish: Wish) -> Wish:
    if wish.catalog is None:
        return wish
    if not wish.catalog.is_file():
        raise CliError(f"--catalog: there is no file {wish.catalog}", REFUSED)
    return replace(wish, catalog=wish.catalog.absolute())


@contextmanager
def _stage(narrator: Narrator) -> Iterator[Processes]:
    """A workspace with processes. Whatever happens, they are ended and it is removed; Ctrl-C cannot cut that short."""
    place: Workspace
    with workspace() as place:
        processes = Processes(place)
        try:
            yield processes
        finally:
            with held_back():
                narrator.page.print("stopping", style="bright_black")
                processes.end_all()
