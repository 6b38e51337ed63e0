"""Fixed and changing graphs, the number of agents, and blocks inside an agent."""

from __future__ import annotations

import statistics
from dataclasses import replace

from studies.document import Document, above, draw_objectives, number, panels
from studies.plan import Plan, shortened, title
from studies.runs import Central, Laboratory, Run, run

FIXED = ("path", "ring", "torus", "exponential", "full")
CHANGING = ("one-peer-exponential", "matching")
AGENTS = (4, 16, 64, 256)
BLOCKS = (1, 2, 4, 8, 16)
GRAPH_ROUNDS, AGENTS_ROUNDS, BLOCKS_ROUNDS = 400, 150, 60
REPETITIONS = 3


def compare_graphs(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(6, "Graphs that stay and graphs that change")
    document.text(
        f"""
        Sixteen agents, {GRAPH_ROUNDS} exchanges, samples sorted by target, which makes exchanges matter most. The last
        two graphs change every round, and each agent sends one share a round over them. MB are those that all agents
        send until every one is within 10 % of the central objective.
        """
    )
    names = ["iris"] if plan.is_quick else ["kin8nm", "digits"]
    graphs = ("ring", "matching") if plan.is_quick else (*FIXED, *CHANGING)
    bases = [
        replace(shortened(plan.named(name), GRAPH_ROUNDS), agents=4 if plan.is_quick else 16, partition="sorted")
        for name in names
        if name in map(title, plan.datasets)
    ]
    references = lab.central_all(bases)
    runs = {graph: lab.run_all([replace(base, topology=graph) for base in bases]) for graph in graphs}
    header = ["graph"]
    for base in bases:
        header += [f"{title(base.data)}: within 10 %", "in the end", "MB"]
    rows = []
    for graph in graphs:
        row: list[object] = [graph]
        for run_, reference in zip(runs[graph], references, strict=True):
            rounds = run_.rounds_to(1.1 * reference.objective)
            row += [number(rounds), above(run_.summary.objective_worst, reference), _megabytes(run_, rounds)]
        rows.append(row)
    document.table(header, rows)
    figure, axes = panels(len(bases))
    for index, base in enumerate(bases):
        curves = [(graph, runs[graph][index]) for graph in graphs]
        draw_objectives(axes[index], curves, references[index], title(base.data))
    axes[0].legend(frameon=False, fontsize=7)
    document.figure("graphs", figure, "Objective of the worst agent against exchanges, by graph")
    document.findings(
        *(
            _what_graphs_show(title(base.data), {graph: runs[graph][index] for graph in graphs}, references[index])
            for index, base in enumerate(bases)
        )
    )


def _what_graphs_show(data: str, runs: dict[str, Run], reference: Central) -> str:
    rounds = {graph: run_.rounds_to(1.1 * reference.objective) for graph, run_ in runs.items()}
    reached = {graph: n_rounds for graph, n_rounds in rounds.items() if n_rounds is not None}
    missed = [graph for graph in runs if graph not in reached]
    if not reached:
        ends = {graph: run_.summary.objective_worst for graph, run_ in runs.items()}
        best, worst = min(ends, key=ends.__getitem__), max(ends, key=ends.__getitem__)
        return (
            f"On {data} no graph leads within 10 % in so few exchanges; `{best}` comes nearest "
            f"({above(ends[best], reference)}), `{worst}` stays farthest ({above(ends[worst], reference)})."
        )
    sent = {graph: _bytes_until(runs[graph], n_rounds) for graph, n_rounds in reached.items()}
    fastest, leanest = min(reached, key=reached.__getitem__), min(sent, key=sent.__getitem__)
    return (
        f"On {data} the fewest exchanges to within 10 % are needed over `{fastest}` ({reached[fastest]}), and the "
        f"least is sent over `{leanest}` ({sent[leanest] / 1e6:.1f} MB)"
        + (f"; {', '.join(f'`{graph}`' for graph in missed)} did not get there." if missed else ".")
    )


def _bytes_until(run_: Run, rounds: int) -> float:
    return run_.summary.bytes_sent_total / run_.summary.rounds * rounds


def _megabytes(run_: Run, rounds: int | None) -> str:
    if rounds is None:
        return "–"
    return f"{_bytes_until(run_, rounds) / 1e6:.1f}"


def compare_numbers_of_agents(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(7, "From 4 to 256 agents")
    document.text(
        """
        The same samples over ever more agents, each with four neighbors (three where there are only four agents).
        Regression (kin8nm): 6,553 samples for 201 parameters. Digits: 1,437 samples for 1,510 parameters.
        """
    )
    names = ["iris"] if plan.is_quick else ["kin8nm", "digits"]
    bases = [shortened(plan.named(name), AGENTS_ROUNDS) for name in names if name in map(title, plan.datasets)]
    numbers = AGENTS[:2] if plan.is_quick else AGENTS
    references = lab.central_all(bases)
    runs = {
        n_agents: lab.run_all(
            [replace(base, agents=n_agents, topology="regular:4" if n_agents > 5 else "full") for base in bases],
        )
        for n_agents in numbers
    }
    header = ["agents"]
    for base in bases:
        header += [f"{title(base.data)}: within 10 %", "in the end", "test, worst"]
    rows = []
    for n_agents in numbers:
        row: list[object] = [n_agents]
        for run_, reference in zip(runs[n_agents], references, strict=True):
            row += [
                number(run_.rounds_to(1.1 * reference.objective)),
                above(run_.summary.objective_worst, reference),
                f"{run_.summary.test_metric_worst:.3f}",
            ]
        rows.append(row)
    document.table(header, rows)
    figure, axes = panels(len(bases))
    for index, base in enumerate(bases):
        curves = [(f"{n_agents} agents", runs[n_agents][index]) for n_agents in numbers]
        draw_objectives(axes[index], curves, references[index], title(base.data))
    axes[0].legend(frameon=False, fontsize=7)
    document.figure("agents", figure, "Objective of the worst agent against exchanges, by number of agents")
    sentences = []
    for index, (base, reference) in enumerate(zip(bases, references, strict=True)):
        reached = {n_agents: runs[n_agents][index].rounds_to(1.1 * reference.objective) for n_agents in numbers}
        good = {n_agents: rounds for n_agents, rounds in reached.items() if rounds is not None}
        few, many = numbers[0], numbers[-1]
        last = above(runs[many][index].summary.objective_worst, reference)
        sentences.append(
            f"On {title(base.data)} "
            + "".join(f"{n_agents} agents need {rounds} exchanges, " for n_agents, rounds in good.items())
            + f"{many} end at {last}, {few} at {above(runs[few][index].summary.objective_worst, reference)}."
        )
    document.findings(
        *sentences,
        "More agents are farther apart, and each has fewer samples for its local model of all, which foretells less.",
    )


def compare_blocks(document: Document, plan: Plan, lab: Laboratory) -> None:
    """Timed, so one after the other in this process."""
    document.section(8, "Blocks inside an agent")
    document.text(
        """
        Digits, four agents, MLP 64-64-10, with Jacobian products of local steps made in C blocks of whole neurons; one
        solver works on all of them. Seconds are processor time for the whole run and all agents on one thread, medians
        of three: what it costs to cut products this small into parts.
        """
    )
    base = replace(
        shortened(plan.named("digits"), BLOCKS_ROUNDS),
        agents=4,
        topology="ring",
        hidden=(8,) if plan.is_quick else (64,),
    )
    reference = lab.central_all([base])[0]
    rows, curves = [], []
    for n_blocks in BLOCKS[:2] if plan.is_quick else BLOCKS:
        runs = [run(replace(base, blocks=n_blocks)) for _ in range(1 if plan.is_quick else REPETITIONS)]
        curves.append((f"C = {n_blocks}", runs[0]))
        summary = runs[0].summary
        rows.append(
            [
                n_blocks,
                number(runs[0].rounds_to(1.3 * reference.objective)),
                number(runs[0].rounds_to(1.1 * reference.objective)),
                above(summary.objective_worst, reference),
                summary.local_iterations,
                f"{statistics.median(one.seconds for one in runs):.1f}",
            ]
        )
    document.table(["C", "within 30 %", "within 10 %", "in the end", "iterations", "seconds"], rows)
    figure, (axes,) = panels(1)
    draw_objectives(axes, curves, reference, "digits")
    axes.legend(frameon=False, fontsize=8)
    document.figure("blocks", figure, "Objective of the worst agent against exchanges, by number of blocks")
    whole = curves[0][1].summary
    farthest = max(abs(curve.summary.objective_worst / whole.objective_worst - 1.0) for _, curve in curves)
    slower = float(str(rows[-1][-1])) / float(str(rows[0][-1]))
    document.findings(
        f"After {whole.rounds} exchanges the objectives differ by at most {farthest:.0e} of themselves, by rounding: "
        "the number of blocks has no part in convergence.",
        f"C = {rows[-1][0]} takes {slower:.1f} times the processor time of the whole on one thread, with products as "
        "small as these.",
    )
