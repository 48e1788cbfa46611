"""A worker process that calls its store from several threads for some seconds, and tells what went wrong.

`python busy_worker.py '<JSON of a Post>' <seconds>`
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from worker_process import Post

THREADS = 4


def main() -> None:
    connector = Post.of_this_process().open()
    until = time.monotonic() + float(sys.argv[2])

    def call(_thread: int) -> tuple[int, list[str]]:
        calls, problems = 0, []
        while time.monotonic() < until:
            calls += 1
            problems += connector.check().problems
            time.sleep(0.02)
        return calls, problems

    with ThreadPoolExecutor(THREADS) as threads:
        done = list(threads.map(call, range(THREADS)))
    connector.close()
    sys.stdout.write(json.dumps({"calls": sum(n for n, _ in done), "problems": [p for _, ps in done for p in ps]}))


if __name__ == "__main__":
    main()
