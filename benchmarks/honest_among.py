"""Networks of honest agents in virtual time, and what befalls them: whether one convicts another.

    python -m benchmarks.honest_among --networks "ring of 8, sorted" --data digits diabetes --seeds 0 1 2

Each case is a line of .results/honest_among.jsonl, and is not run again under the same label.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from types import MappingProxyType

import numpy as np

from benchmarks.changing_samples import BECOMINGS, Change
from benchmarks.liars_among import Case, run
from benchmarks.results import DIRECTORY, ResultFile, commit, stamped
from p2pnet.simulation.virtual_network import Conditions

LOSSY = Conditions(latency_s=0.05, loss_rate=0.3)
UNEQUAL = (1, 2, 5, 10, 20, 100, 150, 150)
NETWORKS: Mapping[str, Case] = MappingProxyType(
    {
        "ring of 8": Case(),
        "ring of 8, sorted": Case(partition="sorted"),
        "ring of 16": Case(n_agents=16),
        "ring of 16, sorted": Case(n_agents=16, partition="sorted"),
        "ring of 24": Case(n_agents=24),
        "ring of 24, sorted": Case(n_agents=24, partition="sorted"),
        "random": Case(topology="random:0.4"),
        "random, sorted": Case(topology="random:0.4", partition="sorted"),
        "full": Case(topology="full"),
        "full, sorted": Case(topology="full", partition="sorted"),
        "loss": Case(conditions=LOSSY),
        "loss, sorted": Case(conditions=LOSSY, partition="sorted"),
        "loss and crashes": Case(topology="random:0.4", n_crashes=4, conditions=LOSSY),
        "loss and crashes, sorted": Case(topology="random:0.4", n_crashes=4, conditions=LOSSY, partition="sorted"),
        "crashes": Case(topology="random:0.4", n_crashes=6),
        "crashes, sorted": Case(topology="random:0.4", n_crashes=6, partition="sorted"),
        "crashes on a ring, sorted": Case(n_crashes=6, partition="sorted"),
        "a cut": Case(cut_s=3.0),
        "a cut, sorted": Case(cut_s=3.0, partition="sorted"),
        "a long cut": Case(cut_s=100.0),
        "a long cut, sorted": Case(cut_s=100.0, partition="sorted"),
        "two late": Case(late=(0, 3)),
        "two late, sorted": Case(late=(0, 3), partition="sorted"),
        "asynchronous": Case(is_asynchronous=True, is_bounded=False, topology="random:0.4"),
        "asynchronous, sorted": Case(is_asynchronous=True, is_bounded=False, topology="random:0.4", partition="sorted"),
        "1 to 150 rows": Case(sizes=UNEQUAL),
        "1 to 150 rows, full": Case(sizes=UNEQUAL, topology="full"),
        "1 to 150 rows, crashes": Case(sizes=UNEQUAL, n_crashes=6, topology="random:0.4"),
        **{f"rows {becoming}": Case(changes=[Change(becoming)]) for becoming in BECOMINGS},
        **{f"rows {becoming}, sorted": Case(changes=[Change(becoming)], partition="sorted") for becoming in BECOMINGS},
        **{f"rows {becoming} in round 30": Case(changes=[Change(becoming, in_round=30)]) for becoming in BECOMINGS},
        **{
            f"rows {becoming} in round 80, sorted": Case(changes=[Change(becoming, in_round=80)], partition="sorted")
            for becoming in BECOMINGS
        },
        "all of it": Case(changes=[Change(becoming, agent) for agent, becoming in enumerate(BECOMINGS)]),
        "all of it, random": Case(
            changes=[Change(becoming, agent) for agent, becoming in enumerate(BECOMINGS)], topology="random:0.4"
        ),
        "all of it, full, 1 to 150 rows": Case(
            changes=[Change(becoming, agent) for agent, becoming in enumerate(BECOMINGS)],
            topology="full",
            sizes=UNEQUAL,
        ),
    }
)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.honest_among", description=__doc__)
    parser.add_argument("--networks", nargs="*", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--data", nargs="*", default=["digits"], help="names of sets, or paths of tables")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--label", default=commit(), help="of the program; cases that are there under it are left out")
    chosen = parser.parse_args(arguments)
    results = ResultFile(DIRECTORY / "honest_among.jsonl")
    done = {
        (record["label"], record.get("data", "digits"), record["network"], record["seed"])
        for record in results.records()
    }
    for seed, data, name in product(chosen.seeds, chosen.data, chosen.networks):
        if (chosen.label, data, name, seed) in done:
            continue
        with np.errstate(all="ignore"):
            outcome = run(replace(NETWORKS[name], data=data, liars=(), seed=seed))
        told = {"label": chosen.label, "data": data, "network": name, "seed": seed, "n_false": outcome.n_false}
        results.append(stamped({**told, "worst": outcome.worst, "round": outcome.round}))
        print(f"{data} {name:28} {seed:3}  worst {outcome.worst:.3f}  convictions {outcome.n_false}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
