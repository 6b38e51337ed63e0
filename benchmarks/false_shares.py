"""Lies in the shares of one agent of a network in virtual time: what they do to the models of the others.

A lie changes each share that the liar sends from some round on. It may remember what the liar has sent before, and tell
its neighbors apart by their links; so it is an object of its own for each liar, unlike the lies of `p2pnet.testing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias, final

import numpy as np

from p2pnet.protocol.core.types import Array, LinkId, Message, WireArray
from p2pnet.protocol.messages.training import Share


@final
@dataclass(slots=True)
class Memory:
    """What one liar remembers of its own shares."""

    first: Array
    """the parameters that all begin with"""
    since: int
    rng: np.random.Generator
    n_told: dict[LinkId, int] = field(default_factory=dict)
    """lies told over each link so far"""
    past: list[Array] = field(default_factory=list)
    """its parameters, a row for each round"""
    pushed: Array | None = None
    way: Array | None = None

    def n_lies(self, share: Share) -> int:
        """How many lies were told over the share's link, with this one."""
        return self.n_told.get(share.link_id, 0)

    def side(self, share: Share) -> int:
        """The place of the share's link among all."""
        return list(self.n_told).index(share.link_id)

    def direction(self) -> Array:
        """A direction of length 1, the same for good."""
        if self.way is None:
            way = self.rng.standard_normal(self.first.size)
            self.way = way / np.linalg.norm(way)
        return self.way


ShareLie: TypeAlias = Callable[[Share, Memory], Share]


def like(array: WireArray, values: WireArray) -> WireArray:
    """The values, in the array's precision."""
    converted: WireArray = values.astype(array.dtype)  # type: ignore[assignment]
    return converted


def with_params(share: Share, params: WireArray) -> Share:
    return replace(share, params=like(share.params, params))


def with_mass(share: Share, *, gradient: Array | float = 0.0, samples: float = 0.0, weight: float = 0.0) -> Share:
    total = share.total.astype(np.float64)
    total[:-2] += gradient
    total[-2] += samples
    total[-1] += weight
    return replace(share, total=like(share.total, total))


def size_of(share: Share) -> float:
    return float(np.linalg.norm(share.params))


def once(lie: ShareLie) -> ShareLie:
    return lambda share, memory: lie(share, memory) if memory.n_lies(share) == 1 else share


def while_(condition: Callable[[Share, Memory], bool], lie: ShareLie) -> ShareLie:
    return lambda share, memory: lie(share, memory) if condition(share, memory) else share


def constant(value: float) -> ShareLie:
    return lambda share, _: with_params(share, np.full(share.params.size, value))


def scaled(factor: float) -> ShareLie:
    return lambda share, _: with_params(share, factor * share.params)


def honest_size(share: Share, memory: Memory) -> Share:
    drawn = memory.rng.standard_normal(share.params.size)
    return with_params(share, drawn * size_of(share) / np.linalg.norm(drawn))


def stale(share: Share, memory: Memory) -> Share:
    return with_params(share, memory.first)


def frozen(share: Share, memory: Memory) -> Share:
    """The parameters that it had when it began to lie."""
    if memory.pushed is None:
        memory.pushed = share.params.astype(np.float64)
    return with_params(share, memory.pushed)


def drift(step: float) -> ShareLie:
    """Away from its own parameters, by so much of their size more in each lie."""
    return lambda share, memory: with_params(
        share, share.params + step * memory.n_lies(share) * size_of(share) * memory.direction()
    )


def growing(factor: float) -> ShareLie:
    """Away from its own parameters, from 1 % of their size on, ever farther."""
    return lambda share, memory: with_params(
        share,
        share.params + min(0.01 * factor ** memory.n_lies(share), 1e6) * size_of(share) * memory.direction(),
    )


def unlearning(share: Share, memory: Memory) -> Share:
    """Back along the way from the first parameters."""
    return with_params(share, memory.first - (share.params - memory.first))


def delayed(n_rounds: int) -> ShareLie:
    return lambda share, memory: with_params(share, memory.past[max(0, len(memory.past) - 1 - n_rounds)])


def two_faced(share: Share, memory: Memory) -> Share:
    sign = 1.0 if memory.side(share) % 2 else -1.0
    return with_params(share, share.params + sign * size_of(share) * memory.direction())


def noise(size: float) -> ShareLie:
    def lie(share: Share, memory: Memory) -> Share:
        drawn = memory.rng.standard_normal(share.params.size)
        return with_params(share, share.params + size * size_of(share) * drawn / np.linalg.norm(drawn))

    return lie


def total_scaled(factor: float) -> ShareLie:
    return lambda share, _: replace(share, total=like(share.total, factor * share.total))


def total_plus(value: float) -> ShareLie:
    return lambda share, _: with_mass(share, gradient=value)


def gradient_flipped(share: Share, memory: Memory) -> Share:  # noqa: ARG001
    total = share.total.copy()
    total[:-2] = -total[:-2]
    return replace(share, total=total)


def each(gradient: float = 0.0, samples: float = 0.0, weight: float = 0.0) -> ShareLie:
    """So much more mass in each share; a gradient of random signs, the same for good."""

    def lie(share: Share, memory: Memory) -> Share:
        n = memory.n_lies(share)
        signs = np.sign(memory.direction())
        pad = share.total.size - 2 - signs.size
        way = np.concatenate([signs, np.zeros(pad)])
        return with_mass(share, gradient=n * gradient * way, samples=n * samples, weight=n * weight)

    return lie


def offset(gradient: float) -> ShareLie:
    """A gradient of random signs more, once and for all."""

    def lie(share: Share, memory: Memory) -> Share:
        signs = np.sign(memory.direction())
        return with_mass(
            share, gradient=gradient * np.concatenate([signs, np.zeros(share.total.size - 2 - signs.size)])
        )

    return lie


def weights(proximal_weight: float | None = None, first_residual: float | None = None) -> ShareLie:
    def lie(share: Share, memory: Memory) -> Share:  # noqa: ARG001
        return replace(
            share,
            proximal_weight=share.proximal_weight if proximal_weight is None else proximal_weight,
            first_residual=share.first_residual if first_residual is None else first_residual,
        )

    return lie


def both(one: ShareLie, other: ShareLie) -> ShareLie:
    return lambda share, memory: other(one(share, memory), memory)


def last_round(n_max: int) -> ShareLie:
    return lambda share, _: replace(share, round=max(share.round, n_max - 2))


ROUNDS = 150
LIES: Mapping[str, ShareLie] = MappingProxyType(
    {
        "honest": lambda share, _: share,
        "params 1e10, once": once(constant(1e10)),
        "params 1e10": constant(1e10),
        "total + 1e10, once": once(total_plus(1e10)),
        "total x 100": total_scaled(100.0),
        "params flipped": scaled(-1.0),
        "params x 100": scaled(100.0),
        "samples - 400 a share": each(samples=-400.0),
        "samples + 1e10, once": once(each(samples=1e10)),
        "samples + 400 a share": each(samples=400.0),
        "gradient +- 3 a share": each(gradient=3.0),
        "weight - 5 a share": each(weight=-5.0),
        "weight + 0.2 a share": each(weight=0.2),
        "zeros": constant(0.0),
        "random of honest size": honest_size,
        "first parameters": stale,
        "proximal weight 1e300": weights(1e300),
        "proximal weight 1e6": weights(1e6),
        "weight and residual 1e300": weights(1e300, 1e300),
        "last round but one": last_round(ROUNDS),
        # Twenty more.
        "slow drift": drift(0.01),
        "near drift": drift(0.002),
        "growing push": growing(1.1),
        "unlearning": unlearning,
        "two-faced": two_faced,
        "on and off": while_(lambda share, _: share.round // 10 % 2 == 0, scaled(-1.0)),
        "flip each third round": while_(lambda share, _: share.round % 3 == 0, scaled(-1.0)),
        "flip after 60": while_(lambda share, _: share.round >= 60, scaled(-1.0)),
        "frozen": frozen,
        "half": scaled(0.5),
        "twice": scaled(2.0),
        "20 rounds old": delayed(20),
        "noise of its size": noise(1.0),
        "noise of a tenth": noise(0.1),
        "gradient flipped": gradient_flipped,
        "total flipped": total_scaled(-1.0),
        "total held back": total_scaled(0.0),
        "gradient offset 1": offset(1.0),
        "gradient +- 0.1 a share": each(gradient=0.1),
        "flip and gradient +- 3": both(scaled(-1.0), each(gradient=3.0)),
    }
)


@final
class Telling:
    """What a liar sends in place of its messages: an `Outgoing` of the simulator."""

    def __init__(self, lie: ShareLie, memory: Memory) -> None:
        self._lie = lie
        self._memory = memory
        self._round = -1

    def __call__(self, message: Message) -> list[Message]:
        if not isinstance(message, Share):
            return [message]
        memory = self._memory
        if message.round > self._round:
            self._round = message.round
            memory.past.append(message.params.astype(np.float64))
        if message.round < memory.since:
            return [message]
        memory.n_told[message.link_id] = memory.n_told.get(message.link_id, 0) + 1
        return [self._lie(message, memory)]
