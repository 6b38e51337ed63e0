"""The 21st machine of a network that joins by one line, and is revoked again; 3 minutes."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.agent.joining import Machine
from tests.chaos.table import Judge, Row

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

N_MACHINES = 20
LINKED_WITHIN_S = 5.0
CUT_OFF_WITHIN_S = 2.0


def the_21st(place: Path) -> Iterator[Row]:
    """Join, while twenty agents run; then be revoked while one of them is started anew."""
    with ExitStack() as machines:
        agents = [machines.enter_context(closing(Machine(place / f"m{k:02}", seed=k))) for k in range(N_MACHINES)]
        first, *others = agents
        first.begin()
        for agent in others:
            agent.join(first.invite())
            agent.until(lambda agent=agent: bool(agent.linked))  # type: ignore[misc]
        before = {path: path.read_bytes() for path in place.glob("*/agent.toml")}

        new = machines.enter_context(closing(Machine(place / "m20", seed=N_MACHINES)))
        line = first.invite()
        new.join(line)
        typed_s = new.until(lambda: new.status is not None)
        linked_s = new.until(lambda: bool(new.linked))
        are_others_untouched = {path: path.read_bytes() for path in before} == before
        n_known = sum("m20 (" in agent.said for agent in agents)
        yield Row(
            "the 21st machine joins: two commands, no file elsewhere",
            f"linked {linked_s:.1f} s after its agent has started, which took {typed_s:.1f} s; {n_known} of "
            f"{N_MACHINES} know it",
            linked_s < LINKED_WITHIN_S and are_others_untouched and n_known == N_MACHINES,
        )

        new.until(lambda: len(new.linked) >= 2)
        agents[7].kill()
        assert first.type("revoke", "m20").returncode == 0
        cut_off_s = new.until(lambda: not new.linked)
        agents[7].start("run", "agent.toml")
        agents[7].until(lambda: bool(agents[7].linked))
        still_linked = [agent.directory.name for agent in agents if "m20" in agent.linked]
        yield Row(
            "it is revoked, while another agent is started anew",
            f"cut off {cut_off_s:.2f} s after the command; linked with {len(still_linked)}",
            cut_off_s < CUT_OFF_WITHIN_S and not still_linked,
        )


def test_joining(judge: Judge, tmp_path: Path) -> None:
    judge(lambda: the_21st(tmp_path))
