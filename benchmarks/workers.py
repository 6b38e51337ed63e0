"""What a second worker gains in a local step."""

import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import final

from threadpoolctl import threadpool_limits

from benchmarks.base import Benchmark, Figure
from benchmarks.local_step import LocalStep, large_shard, seconds


@final
class Workers(Benchmark):
    """Two workers against one in a local step of the large shard, by samples and by blocks."""

    name = "workers"

    def run(self, is_small: bool) -> Iterator[Figure]:
        shard = large_shard(is_small)
        with threadpool_limits(1), ThreadPoolExecutor(2) as pool:
            one = LocalStep(shard)
            samples = LocalStep(shard, n_chunks=2, pool_map=pool.map)
            blocks = LocalStep(shard, n_chunks=2, n_blocks=2, pool_map=pool.map)
            # Interleaved, so that a change of the machine's speed touches all three alike.
            times = [[seconds(step) for step in (one, samples, blocks)] for _ in range(3)]
        alone, by_samples, by_blocks = (statistics.median(column) for column in zip(*times, strict=True))
        yield Figure("samples: speed-up", alone / by_samples, at_least=1.6)
        yield Figure("blocks: speed-up", alone / by_blocks, at_least=1.7)
