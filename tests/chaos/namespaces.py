"""A network namespace for each agent, in which packets are dropped by rules of nftables."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tests.chaos.wiring import Wiring

PORT = 7070
READY = "ready"
PATIENCE_S = 20.0


class NoNamespacesError(Exception):
    """Why this system does not let us have them."""


class Namespaces(Wiring):
    """Network namespaces joined by veth pairs to a bridge.

    All of it lives in the user, mount and network namespaces of one shell, which ends when its standard input does. So
    it needs no rights, no other process sees it, and nothing is left of it once this process is gone.
    """

    name = "network namespaces and nftables"

    def __init__(self, n_agents: int) -> None:
        self._loss_rate = 0.0
        self._cut_off: dict[int, tuple[int, ...]] = {}
        self._n_agents = n_agents
        lines = ["set -e", "mount -t tmpfs none /run", "ip link add bridge0 type bridge", "ip link set bridge0 up"]
        for k in range(n_agents):
            lines += [
                f"ip netns add agent-{k}",
                f"ip link add port-{k} type veth peer name eth0 netns agent-{k}",
                f"ip link set port-{k} master bridge0 up",
                f"ip -n agent-{k} addr add {_host(k)}/16 dev eth0",
                f"ip -n agent-{k} link set eth0 up",
                f"ip -n agent-{k} link set lo up",
            ]
        lines += [f"echo {READY}", "read until_the_end || true"]
        try:
            self._shell = subprocess.Popen(
                ["unshare", "-Urnm", "sh", "-c", "\n".join(lines)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
                text=True,
            )
        except OSError as error:
            raise NoNamespacesError(f"unshare: {error.strerror}") from error
        try:
            self._wait_until_ready()
            self._set_rules()
        except BaseException:
            self.close()
            raise

    def address(self, k: int) -> str:
        return f"tcp://{_host(k)}:{PORT}"

    def way(self, j: int, k: int) -> str:
        return self.address(k)

    def command(self, k: int, command: Sequence[str]) -> list[str]:
        enter = ["nsenter", "-t", str(self._shell.pid), "-U", "-m", "-n", "--preserve-credentials"]
        return [*enter, "ip", "netns", "exec", f"agent-{k}", *command]

    def cut(self, some: Sequence[int], others: Sequence[int]) -> None:
        self._cut_off = {k: tuple(others) for k in some} | {k: tuple(some) for k in others}
        self._set_rules()

    def heal(self) -> None:
        self._cut_off = {}
        self._set_rules()

    def lose(self, rate: float) -> None:
        self._loss_rate = rate
        self._set_rules()

    def close(self) -> None:
        self._shell.kill()
        self._shell.communicate()

    def _wait_until_ready(self) -> None:
        output, errors = self._shell.stdout, self._shell.stderr
        if output is None or errors is None or output.readline().strip() != READY:
            reason = errors.readline().strip() if errors is not None else ""
            raise NoNamespacesError(reason or "unshare ended without a word")

    def _set_rules(self) -> None:
        """Give every agent's namespace its rules for what comes in."""
        for k in range(self._n_agents):
            rules = ["table inet chaos", "delete table inet chaos", "table inet chaos {", "chain incoming {"]
            rules += ["type filter hook input priority 0;", 'iif "lo" accept']
            if foreign := self._cut_off.get(k):
                rules.append(f"ip saddr {{ {', '.join(map(_host, foreign))} }} drop")
            if self._loss_rate:
                rules.append(f"numgen random mod 1000 < {round(1000 * self._loss_rate)} drop")
            command = self.command(k, ["nft", "-f", "-"])
            text = "\n".join([*rules, "}", "}", ""])
            try:
                subprocess.run(command, input=text, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
            except subprocess.CalledProcessError as error:
                raise NoNamespacesError(error.stderr.strip()) from error


def _host(k: int) -> str:
    return f"10.77.{k // 250}.{k % 250 + 1}"
