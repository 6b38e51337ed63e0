"""What a few agents say to each other as they join, crash and refute, as text for people to review.

P2PNET_WRITE_TRANSCRIPTS=1 writes them anew; read the difference before you commit it.
"""

import os
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin

from p2pnet.protocol.core.effects import Effect
from p2pnet.protocol.core.events import DeadlineReached
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.messages.membership import Gossip, MemberState, Record
from p2pnet.protocol.node import NodeEvent
from p2pnet.simulation.overlay_simulation import OverlaySimulation
from p2pnet.simulation.virtual_network import Conditions

TRANSCRIPTS = Path(__file__).parent / "transcripts"
QUIET = replace(LAN, probe_interval_s=3.0, random_probe_interval_s=1000.0)
EVENTS = {(get_origin(kind) or kind).__name__ for kind in get_args(NodeEvent)}


def in_words(value: Any) -> str:
    match value:
        case Record(peer, state, incarnation):
            by = f" by {value.accuser}" if value.accuser else ""
            return f"{peer}:{state.name.lower()}{by}:{incarnation}"
        case tuple():
            return "[" + " ".join(map(in_words, value)) + "]"
        case bytes():
            return "…"
    if not is_dataclass(value):
        return str(value)
    told = [in_words(getattr(value, field.name)) for field in fields(value)]
    return " ".join([type(value).__name__, *told])


class Scribe:
    """Writes down what the agents are told and what they want done; ticks that change nothing are left out."""

    def __init__(self, simulation: OverlaySimulation) -> None:
        self.lines: list[str] = []
        simulation.watcher.watch = self.write

    def write(self, now: float, peer: str, happening: NodeEvent | Effect) -> None:
        if type(happening).__name__ in EVENTS:
            is_tick = isinstance(happening, DeadlineReached)
            self.lines.append(f"{now:.2f} {peer} {'ticks' if is_tick else in_words(happening)}")
        else:
            self.lines.append(f"     {peer} -> {in_words(happening)}")

    def note(self, text: str) -> None:
        self.lines.append(f"\n# {text}\n")

    def check(self, name: str) -> None:
        """Hold what was written against the transcript of that name."""
        path = TRANSCRIPTS / f"{name}.txt"
        pairs = zip(self.lines, [*self.lines[1:], ""], strict=True)
        lines = [line for line, following in pairs if not line.endswith(" ticks") or following.startswith(" ")]
        text = "\n".join(lines) + "\n"
        if os.environ.get("P2PNET_WRITE_TRANSCRIPTS") == "1":
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")


def three() -> OverlaySimulation:
    simulation = OverlaySimulation(QUIET, Conditions(latency_s=0.05, is_encoding=True), seed=1)
    for name in ("ann", "bob", "cat"):
        simulation.add(name, ["ann"], max_neighbors=2)
        simulation.run(4.0)
    return simulation


def test_a_newcomer_learns_of_all_by_its_seed() -> None:
    simulation = OverlaySimulation(QUIET, Conditions(latency_s=0.05, is_encoding=True), seed=1)
    scribe = Scribe(simulation)
    simulation.add("ann", [], max_neighbors=4)
    simulation.add("bob", ["ann"], max_neighbors=4)
    simulation.run(2.0)
    scribe.note("cat comes, and knows bob only")
    simulation.add("cat", ["bob"], max_neighbors=4)
    simulation.run(3.0)
    assert simulation.views() == {"ann": {"bob", "cat"}, "bob": {"ann", "cat"}, "cat": {"ann", "bob"}}
    scribe.check("joining")


def test_a_crash_is_seen_by_the_neighbors_and_told_to_all() -> None:
    simulation = OverlaySimulation(QUIET, Conditions(latency_s=0.05, is_encoding=True), seed=1)
    for name, seed in (("ann", "bob"), ("bob", "ann"), ("cat", "bob")):
        simulation.add(name, [seed], max_neighbors=1 if name != "bob" else 2)
    simulation.run(8.0)
    assert simulation.views() == {"ann": {"bob"}, "bob": {"ann", "cat"}, "cat": {"bob"}}
    scribe = Scribe(simulation)
    scribe.note("cat's process dies; only bob is its neighbor")
    simulation.crash(["cat"])
    simulation.run(1.5)
    assert simulation.n_holding("cat", [MemberState.DEAD]) == 2
    scribe.check("crash")


def test_a_suspect_refutes_with_a_newer_incarnation() -> None:
    simulation = three()
    scribe = Scribe(simulation)
    scribe.note("ann is told that bob suspects cat")
    simulation.tell("bob", "ann", Gossip((Record("cat", MemberState.SUSPECT, 1, accuser="bob"),)))
    simulation.run(1.5)
    assert simulation.machines["cat"].members.me.incarnation == 2
    assert simulation.n_holding("cat", [MemberState.ALIVE]) == 2
    scribe.check("refutation")
