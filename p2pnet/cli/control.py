"""`p2pnet status`, `peers`, `watch`, `reload`, `checkpoint`, `leave`, `away`: the commands for a running agent."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from p2pnet.cli.options import agent_toml_argument, options_of

agent_options = options_of(
    agent_toml_argument,
    click.option("--set", "flags", multiple=True, metavar="SECTION.KEY=VALUE", help="As the agent was started with."),
    click.option("--json", "is_json", is_flag=True, help="Print the answer as JSON on standard output."),
)
"""AGENT_TOML of the agent that is asked, the flags that it was started with, and the form of its answer."""


def _command(name: str, text: str, show: Callable[[Mapping[str, Any]], str]) -> click.Command:
    """A command that asks the agent `name`, and shows its answer."""

    @click.command(name, help=text)
    @agent_options
    def command(agent_toml: Path, flags: tuple[str, ...], is_json: bool) -> None:
        answer = ask_agent(agent_toml, flags, name)
        click.echo(json.dumps(answer) if is_json else show(answer))

    return command


def ask_agent(agent_toml: Path, flags: tuple[str, ...], command: str) -> Mapping[str, Any]:
    """The answer of the running agent that this file describes; ControlError where it does not run."""
    from p2pnet.agent.control.client import ask
    from p2pnet.agent.control.endpoint import state_dir_of

    return ask(state_dir_of(agent_toml, flags), command)


def status_text(status: Mapping[str, Any]) -> str:
    """A line for each thing that a person asks of an agent."""
    rows = {
        "agent": f"{status['agent']} ({status['public_key']}), p2pnet {status['software']}, process {status['pid']}, "
        f"for {_duration(status['running_s'])}",
        "stage": _stage(status),
        "here": _own(status),
        "neighbors": f"{status['neighbors']} linked" + _members(status["members"]),
        "sent": f"{status['bytes_sent'] / 1e6:.3g} MB; received {status['bytes_received'] / 1e6:.3g} MB",
        "memory": f"{status['peak_rss_mb']:.0f} MB at most; {status['processor_s']:.1f} s of processor time",
        "listens": ", ".join(status["addresses"]) or "nowhere; dials out only",
        "model": status["model"] or "none yet",
        "state": status["state_dir"],
    }
    return "\n".join(f"{name:<10} {text}" for name, text in rows.items())


def peers_text(answer: Mapping[str, Any]) -> str:
    """A line for each neighbor."""
    if not answer["peers"]:
        return "no neighbors yet"
    rows = [("NAME", "LINK", "ROUND", "ADDRESS", "KEY")]
    for peer in answer["peers"]:
        round_ = "-" if peer["round"] < 0 else str(peer["round"])
        rows.append((peer["name"] or "?", peer["state"], round_, peer["address"] or "dials out", peer["public_key"]))
    return table_text(rows)


def table_text(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as their widest entry; control characters, which names of others may hold, are shown as `?`."""
    clean = [[_printable(entry) for entry in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in clean)


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _stage(status: Mapping[str, Any]) -> str:
    if status["round"] < 0:
        return str(status["stage"])
    residual = "" if status["residual"] is None else f", residual {status['residual']:.2g} of the first"
    return f"{status['stage']}, round {status['round']} of at most {status['last_round']}{residual}"


def _own(status: Mapping[str, Any]) -> str:
    # An agent of an earlier release, which goes on while the command is new, does not name its metric.
    metric = status.get("test_metric_name", "test metric")
    names = {"objective": "objective", "test_metric": metric, "disagreement": "disagreement"}
    known = [f"{text} {status[key]:.4g}" for key, text in names.items() if status[key] is not None]
    return ", ".join(known) or "nothing computed yet"


def _members(n_members: int | None) -> str:
    return "" if n_members is None else f" of {n_members - 1} other agents known"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _reloaded(answer: Mapping[str, Any]) -> str:
    lines = [f"in force now: {', '.join(answer['applied']) or 'nothing new'}"]
    if answer["waiting"]:
        lines.append(f"in force from the next start on: {', '.join(answer['waiting'])}")
    return "\n".join(lines)


def network_text(answer: Mapping[str, Any]) -> str:
    """A line for each agent of the network."""
    head = (
        "AGENT",
        "STAGE",
        "ROUND",
        "RESIDUAL",
        "DISAGREEMENT",
        "OBJECTIVE",
        "METRIC",
        "LINKS",
        "SENT",
        "HEARD",
        "VERSION",
    )
    return table_text([head, *map(_agent_row, answer["agents"])])


def _agent_row(agent: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        *(agent["name"], agent["stage"], "-" if agent["round"] < 0 else str(agent["round"])),
        *(_number(agent["residual"]), _number(agent["disagreement"])),
        *(_number(agent["objective"]), _number(agent["test_metric"]), str(agent["n_neighbors"])),
        *(f"{agent['bytes_sent'] / 1e6:.3g} MB", f"{_duration(agent['age_s'])} ago", agent["software"]),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


@click.command()
@agent_options
@click.option("--every", "pause_s", default=2.0, show_default=True, metavar="SECONDS", help="How often to look.")
@click.option("--once", "is_once", is_flag=True, help="Look once, and end.")
def watch(
    agent_toml: Path,
    flags: tuple[str, ...],
    is_json: bool,
    pause_s: float,
    is_once: bool,
) -> None:
    """Show all agents of the network, as the running agent has heard of them, until Ctrl-C."""
    while True:
        answer = ask_agent(agent_toml, flags, "network")
        if sys.stdout.isatty() and not is_json and not is_once:
            click.clear()
        click.echo(json.dumps(answer) if is_json else network_text(answer))
        if is_once:
            return
        try:
            time.sleep(pause_s)
        except KeyboardInterrupt:
            return


status = _command("status", "Say where the training of the running agent stands, and what it costs.", status_text)
peers = _command("peers", "List the neighbors of the running agent, and the state of the link with each.", peers_text)
reload = _command(
    "reload",
    "Have the running agent read anew its settings (allowed peers, and what is logged where) and its samples.",
    _reloaded,
)
checkpoint = _command("checkpoint", "Have the running agent save a checkpoint now.", lambda _: "saved")
leave = _command(
    "leave", "Have the running agent take leave of its neighbors, save and end.", lambda _: "it takes leave"
)
away = _command(
    "away",
    "Have the running agent end for a while: its neighbors expect it back.",
    lambda _: "it goes away for a while",
)
