"""Times cases in turn and judges them as ratios: seconds drift on a shared machine, ratios of one round do not."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Table:
    """Seconds by case and round, and the bounds that were missed."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def time(self, case: str, work: Callable[[], object]) -> None:
        """Do some work and note the seconds. What came before pays for its own garbage: no case collects another's."""
        gc.collect()
        started = time.perf_counter()
        work()
        self.seconds.setdefault(case, []).append(time.perf_counter() - started)

    def of(self, case: str, base: str) -> float:
        """The median of the ratios of each round."""
        return statistics.median(a / b for a, b in zip(self.seconds[case], self.seconds[base], strict=True))

    def ratio(self, case: str, base: str, bound: float) -> None:
        """Print the median of the ratios of each round against its bound."""
        self.judge(f"{case} / {base}", self.of(case, base), bound, f"{statistics.median(self.seconds[case]):8.2f} s")

    def judge(self, what: str, value: float, bound: float, note: str = "") -> None:
        """Print a figure against its bound."""
        verdict = "ok" if value <= bound else "MISSED"
        if value > bound:
            self.missed.append(what)
        print(f"{what:58s} {value:8.2f}  (at most {bound:g})  {verdict:6s} {note}", flush=True)
