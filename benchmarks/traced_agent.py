"""An agent that writes down what its arrays take, and which lines have made them.

    python -m benchmarks.traced_agent agent.toml memory.json

Only what Python and NumPy allocate is traced: neither buffers of ZeroMQ nor freed memory that the allocator keeps.
"""

import json
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import final

from p2pnet.agent.run import run_agent
from p2pnet.config import read_settings

OFTEN_S, EVERY_S = 0.001, 0.1
"""From one look at the total to the next, and at all that is allocated: also where that is more than ever before."""
MORE = 1.01
LARGE_BYTES = 100_000
PACKAGE = "p2pnet/p2pnet/"


@dataclass(slots=True)
class Held:
    """What an agent held of large arrays at one time."""

    total: int = 0
    """in bytes"""
    by_line: Mapping[str, int] = field(default_factory=dict)


@final
class Watch:
    """Looks again and again, on a thread of its own, until it is told to stop."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._is_over = threading.Event()
        self.looks: list[Held] = []

    def start(self) -> None:
        tracemalloc.start(12)
        self._thread.start()

    def stop(self) -> int:
        """The most that was allocated at any time, in bytes."""
        self._is_over.set()
        self._thread.join()
        return tracemalloc.get_traced_memory()[1]

    def _run(self) -> None:
        next_at = most = 0.0
        while not self._is_over.wait(OFTEN_S):
            held = tracemalloc.get_traced_memory()[0]
            if held > MORE * most or time.monotonic() >= next_at:
                most, next_at = max(most, held), time.monotonic() + EVERY_S
                self.looks.append(look())


def look() -> Held:
    """What is held now, by the innermost line of the program."""
    by_line: Counter[str] = Counter()
    for trace in tracemalloc.take_snapshot().traces:
        if trace.size < LARGE_BYTES:
            continue
        frames = [frame for frame in trace.traceback if PACKAGE in frame.filename]
        frame = frames[-1] if frames else trace.traceback[-1]
        by_line[f"{frame.filename.split(PACKAGE)[-1]}:{frame.lineno}"] += trace.size
    return Held(by_line.total(), dict(by_line.most_common()))


def main() -> None:
    toml, file = Path(sys.argv[1]), Path(sys.argv[2])
    watch = Watch()
    watch.start()
    code = run_agent(read_settings(toml, []))
    peak = watch.stop()
    most = max(watch.looks, key=lambda held: held.total)
    begun = next(k for k, held in enumerate(watch.looks) if held.total > most.total / 2)
    n = len(watch.looks) - begun
    # Not while training begins or ends.
    rest = min(watch.looks[begun + n // 3 : begun + 2 * n // 3 + 1], key=lambda held: held.total)
    found = {"peak": peak, "rest": asdict(rest), "most": asdict(most)}
    file.write_text(json.dumps(found), encoding="utf-8")
    sys.exit(code)


if __name__ == "__main__":
    main()
