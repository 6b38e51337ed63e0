"""The commands of scenario files; the docstring of `Script` lists them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

from p2pnet.protocol.core.events import AwayRequested, DialFailed, DialProblem, LeaveRequested
from p2pnet.protocol.messages.membership import Gossip, MemberState, Record
from tests.scenarios import views
from tests.scenarios.agents import Options, address_of
from tests.scenarios.network import InTransit, Network

ROUNDING = 1e-12
MAX_DELIVERIES = 5000


@final
class Script:
    """Plays the commands of one scenario.

    node NAME OPTION=VALUE …         starts an agent, idle without `target=`; `agents.py` reads the options
    connect A B / disconnect A B     the connection opens / closes, and what is in transit is lost
    dial-fails A B PROBLEM           A is told that dialing B has failed: `refused`, `timed_out` …
    deliver A B [drop=K] [repeat=K]  all in transit from A to B arrives, but not the K-th message, or that one twice
    deliver all                      all that is in transit now arrives, in the order of sending
    drop A B                         all that is in transit from A to B is lost
    stabilize [A=ROUND …]            all arrives until nothing is in transit, or until these agents are in these rounds
    advance SECONDS                  time passes without a message
    run SECONDS                      time passes, and all arrives at once
    hold A / release A               what A wants computed waits / waits no longer
    compute A                        the first of what waits is answered
    crash A / restart A              the process ends without a word / starts anew
    samples A OPTION=VALUE …         the samples of A are others from now on
    leave A / away A                 A is told to leave for good / for a while
    accuse A B C                     A tells B that it suspects C, whether A does or not
    show all / show notices          what is written down from now on
    state A, links A, members A, ledger, transit   looks at parameters, links, table of members, mass, messages
    """

    def __init__(self) -> None:
        self.network = Network()

    def play(self, line: str) -> list[str]:
        """Carry out one command; what came of it, line by line. AssertionError where mass was lost or made."""
        words = line.split()
        self.network.lines = []
        self._act([w for w in words if "=" not in w], dict(w.split("=", 1) for w in words if "=" in w))
        error = self.network.conservation_error()
        assert error <= ROUNDING, f"{line!r}: mass was lost or made, {error:.2g} of all"
        return self.network.lines

    def _act(self, words: Sequence[str], options: Options) -> None:
        network = self.network
        match words:
            case ["node", name]:
                network.start(name, options)
            case ["restart", name]:
                network.start(name)
            case ["crash", name]:
                network.crash(name)
            case ["connect", a, b]:
                network.connect(a, b)
            case ["disconnect", a, b]:
                network.disconnect(a, b)
            case ["dial-fails", a, b, problem]:
                network.happen(a, DialFailed(b, address_of(b), DialProblem[problem.upper()]))
            case ["samples", name]:
                network.change_samples(name, options)
            case ["leave", name]:
                network.happen(name, LeaveRequested())
            case ["away", name]:
                network.happen(name, AwayRequested())
            case ["accuse", a, b, c]:
                incarnation = network.processes[c].node.identity.incarnation
                record = Record(c, MemberState.SUSPECT, incarnation, accuser=a)
                network.in_transit.append(InTransit(a, b, Gossip((record,))))
            case ["hold", name]:
                network.held.add(name)
            case ["release", name]:
                network.held.remove(name)
                network.answer(name)
            case ["compute", name]:
                network.compute(name)
            case ["show", ("all" | "notices") as what]:
                network.is_terse = what == "notices"
            case _:
                self._pass(words, options)

    def _pass(self, words: Sequence[str], options: Options) -> None:
        """Let messages or time pass, or look."""
        network = self.network
        match words:
            case ["deliver", "all"]:
                network.deliver(network.in_transit)
            case ["deliver", a, b]:
                messages = network.between(a, b)
                network.lose(messages)
                n_times = {int(options.get("drop", 0)): 0, int(options.get("repeat", 0)): 2}
                network.deliver([one for k, one in enumerate(messages, 1) for _ in range(n_times.get(k, 1))])
            case ["drop", a, b]:
                network.lose(network.between(a, b))
            case ["stabilize"]:
                rounds = {name: int(round_) for name, round_ in options.items()}
                self._stabilize(lambda: bool(rounds) and all(network.rounds(a).round >= n for a, n in rounds.items()))
            case ["advance", seconds]:
                network.advance(network.now + float(seconds))
            case ["run", seconds]:
                self._run(network.now + float(seconds))
            case _:
                network.lines += views.view(network, words)

    def _stabilize(self, is_over: Callable[[], bool]) -> None:
        for _ in range(MAX_DELIVERIES):
            if not self.network.in_transit or is_over():
                return
            self.network.deliver(self.network.in_transit[:1])
        raise AssertionError("there is no end to the messages")

    def _run(self, until: float) -> None:
        network = self.network
        self._stabilize(lambda: False)
        while (due := network.next_deadline()) is not None and due[0] <= until:
            network.advance(due[0])
            self._stabilize(lambda: False)
        network.advance(until)
