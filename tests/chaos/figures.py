"""`make chaos`: the long proofs, and the table of figures that they give.

Each run is a rehearsal (`calibr rehearse`) with its seed; its numbers are kept in `docs/explanation/figures.json` with
the commit that they were measured on, and `docs/explanation/reliability.md` gets its table from there. Arguments are
names of runs (default: all); `--table` only writes the table anew. Exits 1 if anything that must be zero is not.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "explanation" / "figures.json"
PAGE = ROOT / "docs" / "explanation" / "reliability.md"
BEGIN, END = "<!-- figures: made by `make chaos` -->", "<!-- end of figures -->"


@dataclass(frozen=True)
class Run:
    """One rehearsal by its options."""

    name: str
    arguments: tuple[str, ...]


RUNS = (
    *(
        Run(f"sale {seed}", ("--items", "20000", "--kill", "40", "--zombies", "5", "--seed", str(seed)))
        for seed in range(1, 5)
    ),
    Run("rollback", ("--items", "4000", "--kill", "20", "--zombies", "2", "--seed", "5", "--rollback")),
    Run("market", ("--items", "5000", "--kill", "20", "--zombies", "3", "--seed", "7", "--market", "--rollback")),
    Run("files", ("--items", "40000", "--kill", "40", "--zombies", "5", "--seed", "6", "--path", "bulk")),
    Run("large", ("--items", "100000", "--kill", "200", "--zombies", "20", "--seed", "1")),
)


def perform(run: Run) -> dict[str, Any]:
    command = [sys.executable, "-m", "calibr", "rehearse", *run.arguments, "--faults", "default", "--json"]
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE)
    report: dict[str, Any] = json.loads(done.stdout)
    if "violations" not in report:
        raise SystemExit(f"{run.name} did not come to its end: {report}")
    return {**report, "name": run.name, "commit": commit()}


def commit() -> str:
    known = os.environ.get("CALIBR_COMMIT")
    if known:
        return known[:10]
    done = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


def load() -> dict[str, dict[str, Any]]:
    return dict(json.loads(FIGURES.read_text(encoding="utf-8"))) if FIGURES.exists() else {}


def keep(report: dict[str, Any]) -> None:
    """Keep what the table shows, run by run: a later run of the same name takes its place."""
    shown = (
        *("items", "kills", "zombies", "faults_injected", "edits", "seed", "seconds", "events_delivered"),
        *("redeliveries", "resume_p95_s", "lease_s", "commit", "violations", "integrity"),
    )
    figures = load()
    figures[report["name"]] = {name: report[name] for name in shown}
    FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def table(figures: dict[str, dict[str, Any]]) -> str:
    """The table in Markdown. The bound: none in N trials means fewer than 3/N at 95 %."""
    names = "run|items|kills|zombies|store faults|edits by others|events|violations|resume p95|seconds|seed|commit"
    lines = [_row(names.split("|")), _row(["---"] * (names.count("|") + 1))]
    items = kills = 0
    for name, f in figures.items():
        found = sum(f["violations"].values()) + sum(f["integrity"].values())
        events = f"{f['events_delivered']:,} (+{f['redeliveries']:,} again)"
        items, kills = items + f["items"], kills + f["kills"]
        lines.append(
            _row([name, f["items"], f["kills"], f["zombies"], f["faults_injected"], f["edits"], events, found,
                  f"{f['resume_p95_s']} s", f["seconds"], f["seed"], f["commit"]])
        )  # fmt: skip
    if items:
        bound = f"{3 / items:.1e} per item and fewer than {3 / max(kills, 1):.1%} per kill"
        lines += ["", f"None in {items:,} items and {kills:,} kills: at 95 %, fewer than {bound}."]
    return "\n".join(lines)


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in cells)} |"


def write_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(load())}\n\n{END}{after}", encoding="utf-8")


def main() -> int:
    chosen = [a for a in sys.argv[1:] if not a.startswith("-")]
    broken = []
    if "--table" not in sys.argv:
        for run in RUNS:
            if chosen and run.name not in chosen:
                continue
            print(f"== {run.name}: calibr rehearse {' '.join(run.arguments)}", flush=True)
            report = perform(run)
            keep(report)
            print(
                json.dumps({name: report[name] for name in ("violations", "kills", "seconds", "resume_p95_s")}),
                flush=True,
            )
            if any(report["violations"].values()) or any(report["integrity"].values()):
                broken.append(run.name)
    write_table()
    print("nothing was lost, repeated, overwritten or hidden" if not broken else f"broken: {', '.join(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
