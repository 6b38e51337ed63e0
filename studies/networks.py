"""Fixed and changing graphs, the number of agents, and blocks inside an agent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from studies.document import (
    Document,
    count,
    decimal,
    draw_excesses,
    excess,
    exchanges,
    listed,
    panels,
    percent,
    spread,
    told,
    within,
)
from studies.laboratory import Laboratory
from studies.plan import Plan, shortened, title
from studies.trials import Trials

FIXED = ("path", "ring", "exponential", "full")
CHANGING = ("one-peer-exponential", "matching")
AGENTS = (4, 16, 64, 256)
BLOCKS = (1, 4, 16)
GRAPH_ROUNDS, AGENTS_ROUNDS, BLOCKS_ROUNDS = 400, 150, 60
WITHIN = 0.1
TWO_SEEDS = 2


def compare_graphs(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(8, "Graphs that stay and graphs that change")
    names = ("iris",) if plan.is_quick else ("digits",)
    graphs = ("ring", "matching") if plan.is_quick else (*FIXED, *CHANGING)
    bases = [
        replace(shortened(plan.named(name), GRAPH_ROUNDS), agents=4 if plan.is_quick else 16, partition="sorted")
        for name in names
        if plan.has(name)
    ]
    rows = {
        title(base.data): dict(
            zip(graphs, lab.trials_of([replace(base, topology=graph) for graph in graphs], TWO_SEEDS), strict=True)
        )
        for base in bases
    }
    document.text(
        f"""
        {bases[0].agents} agents, {bases[0].rounds} exchanges, {TWO_SEEDS} seeds, samples sorted by target, which makes
        exchanges matter most. The last two graphs change every round, and each agent sends one share a round over them.
        MB are those that all agents send until every one is within {within(WITHIN)} of the central objective, in the
        median.
        """
    )
    header = ["graph"]
    for name in rows:
        header += [f"{name}: within {within(WITHIN)}", "in the end", "MB"]
    document.table(
        header,
        [
            [
                graph,
                *(
                    cell
                    for row in rows.values()
                    for cell in (
                        exchanges(row[graph], WITHIN),
                        excess(row[graph]),
                        count(row[graph].megabytes_to(WITHIN)),
                    )
                ),
            ]
            for graph in graphs
        ],
    )
    figure, axes = panels(len(rows))
    for panel, (name, row) in zip(axes, rows.items(), strict=True):
        draw_excesses(panel, list(row.items()), name)
    axes[0].legend(frameon=False, fontsize=7)
    document.figure("graphs", figure, "Objective of the worst agent against exchanges, by graph")
    document.findings(*(_what_graphs_show(name, row) for name, row in rows.items()))


def _what_graphs_show(name: str, row: Mapping[str, Trials]) -> str:
    ends = sorted(row, key=lambda graph: row[graph].excess.median)
    sentence = (
        f"On {name} agents end nearest to the central objective over `{ends[0]}` ({excess(row[ends[0]], told)}), and "
        f"farthest over `{ends[-1]}` ({excess(row[ends[-1]], told)})"
    )
    sent = {graph: trials.megabytes_to(WITHIN) for graph, trials in row.items()}
    reached = [graph for graph in row if math.isfinite(sent[graph])]
    missed = [f"`{graph}`" for graph in row if graph not in reached]
    if not reached:
        return f"{sentence}; in the median seed no graph leads within {within(WITHIN)} in so few exchanges."
    leanest = min(reached, key=sent.__getitem__)
    return f"{sentence}; the least is sent to within {within(WITHIN)} over `{leanest}` ({sent[leanest]:.0f} MB)" + (
        f", and {listed(missed)} did not get there in the median seed." if missed else "."
    )


def compare_numbers_of_agents(document: Document, plan: Plan, lab: Laboratory) -> None:
    numbers = AGENTS[:2] if plan.is_quick else AGENTS
    document.section(9, f"From {numbers[0]} to {numbers[-1]} agents")
    names = ("iris",) if plan.is_quick else ("digits",)
    bases = [shortened(plan.named(name), AGENTS_ROUNDS) for name in names if plan.has(name)]
    rows = {
        title(base.data): lab.trials_of(
            (replace(base, agents=n_agents, topology="regular:4" if n_agents > 5 else "full") for n_agents in numbers),
            TWO_SEEDS,
        )
        for base in bases
    }
    document.text(
        f"""
        The same samples over ever more agents, each with four neighbors (three where there are only four),
        {bases[0].rounds} exchanges, {TWO_SEEDS} seeds (one from 64 agents on), dealt at random. Digits: 1,437 samples
        for 1,510 parameters; section 3 has 16 and 64 agents on kin8nm.
        """
    )
    header = ["agents"]
    for name in rows:
        header += [f"{name}: within {within(WITHIN)}", "in the end", "test, worst"]
    document.table(
        header,
        [
            [
                n_agents,
                *(
                    cell
                    for row in rows.values()
                    for cell in (
                        exchanges(row[index], WITHIN),
                        excess(row[index]),
                        spread(row[index].test_metric, decimal),
                    )
                ),
            ]
            for index, n_agents in enumerate(numbers)
        ],
    )
    figure, axes = panels(len(rows))
    for panel, (name, row) in zip(axes, rows.items(), strict=True):
        drawn = [(f"{n_agents} agents", trials) for n_agents, trials in zip(numbers, row, strict=True)]
        draw_excesses(panel, drawn, name)
    axes[0].legend(frameon=False, fontsize=7)
    document.figure("agents", figure, "Objective of the worst agent against exchanges, by number of agents")
    document.findings(
        *(
            f"On {name}, in the median, "
            + listed(
                [f"{n} agents end at {percent(trials.excess.median)}" for n, trials in zip(numbers, row, strict=True)]
            )
            + "."
            for name, row in rows.items()
        ),
        "More agents are farther apart, and each has fewer samples for its local model of all, which foretells less.",
    )


def compare_blocks(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(10, "Blocks inside an agent")
    base = replace(
        shortened(plan.named("digits"), BLOCKS_ROUNDS),
        agents=4,
        topology="ring",
        hidden=(8,) if plan.is_quick else (64,),
    )
    blocks = BLOCKS[:2] if plan.is_quick else BLOCKS
    rows = lab.trials_of([replace(base, blocks=n_blocks) for n_blocks in blocks])
    document.text(
        f"""
        Digits, four agents, MLP 64-{base.hidden[0]}-10, {base.rounds} exchanges, {len(rows[0].runs)} seeds, with
        Jacobian products of local steps made in C blocks of whole neurons; one solver works on all of them.
        """
    )
    document.table(
        ["C", "within 30 %", f"within {within(WITHIN)}", "in the end", "iterations, in all"],
        [
            [
                n_blocks,
                *(exchanges(trials, 0.3), exchanges(trials, WITHIN), excess(trials)),
                sum(run.summary.local_iterations for run in trials.runs),
            ]
            for n_blocks, trials in zip(blocks, rows, strict=True)
        ],
    )
    farthest = max(
        abs(run.summary.objective_worst / whole.summary.objective_worst - 1.0)
        for trials in rows
        for run, whole in zip(trials.runs, rows[0].runs, strict=True)
    )
    document.findings(
        f"The objectives differ by at most {farthest:.0e} of themselves: the number of blocks has no part in "
        "convergence."
        if farthest < 1e-9
        else f"The objectives differ by up to {percent(farthest)} of themselves, as rounding is blown up on the way."
    )
