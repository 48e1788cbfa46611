"""A worker process that calls its store as fast as it may, until it is ended. It tells `r` when it is ready, begins
when it is told anything, and tells `.` for each answer and `!` for each failure.

`python tireless_worker.py '<JSON of a Post>'`
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from calibr.core.errors import CalibrError

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from worker_process import Post

THREADS = 8


def main() -> None:
    connector = Post.of_this_process().open()
    os.write(1, b"r")
    os.read(0, 1)

    def call(_thread: int) -> None:
        while True:
            try:
                connector.count_listings()
                os.write(1, b".")
            except CalibrError:
                os.write(1, b"!")

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(call, range(THREADS)))


if __name__ == "__main__":
    main()
