"""What a second worker gains in a local step."""

import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import final

from threadpoolctl import threadpool_limits

from benchmarks.base import Benchmark, Figure
from benchmarks.local_step import LocalStep, Shard, large_shard, seconds, wide_shard


@final
class Workers(Benchmark):
    """Two workers against one in a local step: of a shard with many samples, and of a wide model."""

    name = "workers"

    def run(self, is_small: bool) -> Iterator[Figure]:
        by_samples, by_blocks = speed_ups(large_shard(is_small))
        yield Figure("samples: speed-up", by_samples, at_least=1.6)
        yield Figure("blocks: speed-up", by_blocks, at_least=1.5)
        by_samples, by_blocks = speed_ups(wide_shard())
        yield Figure("200-1000-10, by samples: speed-up", by_samples)
        yield Figure("200-1000-10, by blocks: speed-up", by_blocks, at_least=1.6)


def speed_ups(shard: Shard) -> tuple[float, float]:
    """How many times as fast a local step is by two workers that share samples, and that share blocks."""
    with threadpool_limits(1), ThreadPoolExecutor(2) as pool:
        one = LocalStep(shard)
        samples = LocalStep(shard, n_chunks=2, pool_map=pool.map)
        blocks = LocalStep(shard, n_blocks=2, pool_map=pool.map)
        # Interleaved, so that a change of the machine's speed touches all three alike.
        times = [[seconds(step) for step in (one, samples, blocks)] for _ in range(5)]
    alone, by_samples, by_blocks = (statistics.median(column) for column in zip(*times, strict=True))
    return alone / by_samples, alone / by_blocks
