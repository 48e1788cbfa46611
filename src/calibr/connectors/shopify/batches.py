"""Cuts work into calls that Shopify takes, and runs them side by side."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from calibr.connectors.shopify.errors import TooLargeError

MAX_ARRAY: Final = 250
"""Longest array argument that Shopify takes."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def cut(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut into pieces of at most `size`, in order."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def send_splitting(send: Callable[[Sequence[Item]], Result], items: Sequence[Item]) -> list[Result]:
    """Send `items` in one call, or in halves of halves where the store finds that too large."""
    try:
        return [send(items)]
    except TooLargeError:
        if len(items) <= 1:
            raise
    half = len(items) // 2
    return send_splitting(send, items[:half]) + send_splitting(send, items[half:])


def run_all(pool: ThreadPoolExecutor, run: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Run each item in the pool, results in order. The first error ends it: what has not started is dropped."""
    futures = [pool.submit(run, item) for item in items]
    try:
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()
