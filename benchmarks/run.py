"""`make bench`: every benchmark in turn, each in a process of its own, and what it said against its bound.

Arguments: names of benchmarks (default: all), or `--small` for a quick run that shows the shape and judges nothing.
Exits 1 if a benchmark missed a bound or failed.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SMALL = {
    "preview": ["--rows", "50000", "--no-judge"],
    "ingest": ["--variants", "50000", "--no-judge"],
    "store_sync": ["--variants", "20000"],
    "events": ["--rounds", "2", "--events", "2000", "--no-judge"],
    "sandbox_writes": [],
    "webhook_storm": ["--deliveries", "1000", "--no-judge"],
    "writes": ["--variants", "5000", "--no-judge"],
}


def main() -> int:
    """Run the chosen benchmarks and return the exit status."""
    arguments = sys.argv[1:]
    small = "--small" in arguments
    chosen = [name for name in arguments if not name.startswith("-")] or list(SMALL)
    unknown = [name for name in chosen if name not in SMALL]
    if unknown:
        print(f"no benchmark named {unknown[0]!r}; there are: {', '.join(SMALL)}", file=sys.stderr)
        return 2
    failed = [name for name in chosen if not _run(name, SMALL[name] if small else [])]
    print(
        f"\n{len(chosen) - len(failed)} of {len(chosen)} benchmarks met their bounds"
        + (f"; missed: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


def _run(name: str, arguments: list[str]) -> bool:
    print(f"\n== {name} ==", flush=True)
    return subprocess.run([sys.executable, HERE / f"{name}.py", *arguments], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
