"""What lies between the agents of a fleet: the loopback interface, or something that can be cut and made to lose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from p2pnet.testing.ports import free_ports


class Wiring(ABC):
    """The addresses of agents 0 … n−1, and the ways between them."""

    name: str
    """for people: what stands in for a network"""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    @abstractmethod
    def address(self, k: int) -> str:
        """Where agent k listens."""

    @abstractmethod
    def way(self, j: int, k: int) -> str:
        """Where agent j dials agent k."""

    @abstractmethod
    def command(self, k: int, command: Sequence[str]) -> list[str]:
        """The command as it is to be run for agent k; it replaces this one, so that the process keeps its id."""

    @abstractmethod
    def cut(self, some: Sequence[int], others: Sequence[int]) -> None:
        """From now on nothing gets from one group to the other, and no agent is told."""

    @abstractmethod
    def heal(self) -> None:
        """Everything arrives again."""

    @abstractmethod
    def lose(self, rate: float) -> None:
        """From now on so many of the packets (from 0 to 1) are lost, on every way."""

    @abstractmethod
    def close(self) -> None:
        """Leave nothing behind."""


class Loopback(Wiring):
    """All on 127.0.0.1, where nothing is ever lost."""

    name = "loopback"

    def __init__(self, n_agents: int) -> None:
        self._ports = free_ports(n_agents)

    def address(self, k: int) -> str:
        return f"tcp://127.0.0.1:{self._ports[k]}"

    def way(self, j: int, k: int) -> str:
        return self.address(k)

    def command(self, k: int, command: Sequence[str]) -> list[str]:
        return list(command)

    def cut(self, some: Sequence[int], others: Sequence[int]) -> None:
        raise NotImplementedError("the loopback interface cannot be cut")

    def heal(self) -> None:
        return

    def lose(self, rate: float) -> None:
        raise NotImplementedError("the loopback interface loses nothing")

    def close(self) -> None:
        return
