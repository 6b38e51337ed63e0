"""How fast a large table is read, beside its reader alone, and how much memory that takes."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np

from benchmarks.base import Benchmark, Figure

N_COLUMNS = 50
N_ROWS, N_ROWS_SMALL = 1_000_000, 20_000

_MEASURE = """
import sys, time
from pathlib import Path
from benchmarks.work_memory import peak_mb
{imports}
before_mb = peak_mb()
start = time.perf_counter()
kept = {call}
seconds = time.perf_counter() - start
print(seconds, peak_mb() - before_mb)
"""
_READER = ("from pyarrow import csv", "csv.read_csv(sys.argv[1])")
_P2PNET = (
    "from p2pnet.data.reading import DataOptions, load_data; import p2pnet.data.readers.arrow_blocks",
    "load_data(DataOptions(source=Path(sys.argv[1])))",
)


@final
class Reading(Benchmark):
    """A CSV file of 10⁶ rows and 50 columns, read and split into training and test: seconds beside pyarrow's own for
    reading, and peak memory beside that of the array.
    """

    name = "reading"
    runs = 3

    def run(self, is_small: bool) -> Iterator[Figure]:
        n_rows = N_ROWS_SMALL if is_small else N_ROWS
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "table.csv"
            write_table(path, n_rows)
            own_s, _ = measure(path, *_READER)
            seconds, peak_mb = measure(path, *_P2PNET)
        array_mb = n_rows * N_COLUMNS * 8 / 1e6
        yield Figure("pyarrow alone", own_s, "s")
        yield Figure("p2pnet", seconds, "s", at_most=2.0 * own_s)
        yield Figure("peak memory", peak_mb / array_mb, "times the array", at_most=2.5)


def write_table(path: Path, n_rows: int) -> None:
    """Numbers of many sizes, and a label in the last column."""
    from pyarrow import csv, table

    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.integers(-2, 4, N_COLUMNS - 1)
    columns = {f"x{k}": np.round(rng.standard_normal(n_rows) * size, 6) for k, size in enumerate(sizes)}
    labels = np.array(["ant", "bee", "cat"])[rng.integers(0, 3, n_rows)]
    csv.write_csv(table({**columns, "y": labels}), path)


def measure(path: Path, imports: str, call: str) -> tuple[float, float]:
    """(seconds, peak memory in MB beyond that of the imports) in a process of its own."""
    code = _MEASURE.format(imports=imports, call=call)
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    seconds, peak_mb = map(float, done.stdout.split())
    return seconds, peak_mb
