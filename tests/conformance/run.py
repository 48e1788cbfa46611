"""Replay a folder of recorded answers of real stores against the sandbox: `make conformance DIR=folder`.

Prints a row per recording, how those that differ do, and last the rate of those in scope that match; exit 1 below 90 %.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from recording import read_recording
from replay import Outcome, replay

_ROOT = Path(__file__).resolve().parents[2]
_BOUND = 90
_SHOWN = 5


def outcomes(folder: Path) -> Iterator[Outcome]:
    """Replay every recording of a folder, in the order of their names."""
    for path in sorted(folder.rglob("*.json")):
        yield outcome_of(path, str(path.relative_to(folder)))


def outcome_of(path: Path, name: str) -> Outcome:
    """Replay one recording; one that cannot be read, or that breaks the replay, differs."""
    try:
        return replay(read_recording(path, name))
    except Exception as error:  # noqa: BLE001 - a suite goes on
        return Outcome(name, differences=[f"{type(error).__name__}: {error}"])


def rate(found: Sequence[Outcome]) -> float:
    """The share of the recordings in scope that match, in percent."""
    scoped = [outcome for outcome in found if outcome.verdict != "out of scope"]
    return 100 * sum(outcome.verdict == "matches" for outcome in scoped) / len(scoped) if scoped else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=_default_folder())
    parser.add_argument("--all", action="store_true", help="print every difference")
    parser.add_argument("--only", default="", help="replay only recordings whose name contains this")
    chosen = parser.parse_args(arguments)
    if not chosen.folder.is_dir():
        print(f"DIR: there is no folder {chosen.folder}", file=sys.stderr)
        return 2
    paths = [path for path in sorted(chosen.folder.rglob("*.json")) if chosen.only in str(path)]
    if not paths:
        print(f"DIR: {chosen.folder} holds no recordings", file=sys.stderr)
        return 2
    found = []
    for path in paths:
        found.append(outcome_of(path, str(path.relative_to(chosen.folder))))
        _print(found[-1], shown=None if chosen.all else _SHOWN)
    return _conclude(found)


def _print(outcome: Outcome, shown: int | None) -> None:
    print(f"{outcome.verdict:13}{outcome.compared:4} compared  {outcome.name}", flush=True)
    left_out = outcome.left_out if outcome.verdict == "out of scope" else []
    reasons = [*outcome.differences, *left_out, *(f"~ {note}" for note in outcome.notes)]
    for reason in reasons[:shown]:
        print(f"    {reason}")
    if shown is not None and len(reasons) > shown:
        print(f"    ... and {len(reasons) - shown} more")


def _conclude(found: Sequence[Outcome]) -> int:
    counts = {verdict: sum(o.verdict == verdict for o in found) for verdict in ("matches", "differs", "out of scope")}
    print()
    print(", ".join(f"{verdict}: {count}" for verdict, count in counts.items()))
    scoped = counts["matches"] + counts["differs"]
    print(f"{counts['matches']} of {scoped} recordings in scope match: {rate(found):.1f} % (bound: {_BOUND} %)")
    return 0 if rate(found) >= _BOUND else 1


def _default_folder() -> Path:
    data = Path(os.environ.get("CALIBR_SHARED_DATA", _ROOT.parent / "shared" / "data"))
    return data / "shopify" / "recorded"


if __name__ == "__main__":
    sys.exit(main())
