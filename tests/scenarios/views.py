"""What a scenario looks at: parameters, links, members, mass, messages in transit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from p2pnet.protocol.peering.overlay_peering import OverlayPeering
from tests.scenarios.network import Network
from tests.scenarios.wording import of_value


def view(network: Network, words: Sequence[str]) -> Iterator[str]:
    """The lines of one command that looks; ValueError where there is no such command."""
    match words:
        case ["state", name]:
            rounds = network.rounds(name)
            standing = f"{rounds.phase.value}, round {rounds.round} of {rounds.last_round}"
            yield f"{name}: {standing}, params {of_value(rounds.params)}"
        case ["links", name]:
            yield from _links(name, network)
        case ["ledger"]:
            yield from _ledger(network)
        case ["members", name]:
            peering = network.processes[name].node.peering
            assert isinstance(peering, OverlayPeering), f"{name} names its neighbors"
            for member in peering.membership.members:
                neighbor = ", neighbor" if member.peer in peering.membership.view else ""
                yield f"{name} of {member.peer}: {member.state.name.lower()} {member.incarnation}{neighbor}"
        case ["transit"]:
            yield from (f"{one.sender} to {one.receiver}: {of_value(one.message)}" for one in network.in_transit)
        case _:
            raise ValueError(f"{' '.join(words)!r}: there is no such command, or not with so many words")


def _links(name: str, network: Network) -> Iterator[str]:
    neighborhood = network.rounds(name).neighborhood
    for neighbor in neighborhood:
        link = neighbor.link
        if link is None:
            yield f"{name} with {neighbor.peer}: no link, nonce {of_value(neighbor.nonce)}"
            continue
        standing = "open" if neighbor.is_open else "half open"
        sent = f"sent share {link.sequence} {of_value(link.sent)}, acknowledged {link.acknowledged}"
        received = f"received share {link.newest_received} {of_value(link.received)}"
        given_up = ", not awaited" if neighbor.is_lagging else ""
        yield f"{name} with {neighbor.peer}: {standing} {of_value(link.link_id)}, {sent}, {received}{given_up}"
    if absent := neighborhood.absent(network.now):
        yield f"{name} expects: {', '.join(absent)}"


def _ledger(network: Network) -> Iterator[str]:
    """Vectors are gradient sum, samples, weight; in flight is what the trackers lack."""
    books = network.ledgers()
    yield from (f"{book.agent}: own {of_value(book.own)}, mass {of_value(book.mass)}" for book in books)
    yield f"in flight {of_value(sum(book.own - book.mass for book in books))}"
