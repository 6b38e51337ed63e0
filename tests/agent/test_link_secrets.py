"""Secrets of pairs of agents, from the keys of their connections."""

from p2pnet.agent.link_secrets import KeyExchange
from p2pnet.agent.transport.keys import generate_keys

ANN, BOB, EVE = generate_keys(), generate_keys(), generate_keys()


def test_both_of_a_pair_compute_the_same_32_bytes_and_a_third_cannot() -> None:
    secret = KeyExchange(ANN).shared_with(BOB.public)
    assert secret == KeyExchange(BOB).shared_with(ANN.public)
    assert len(secret) == 32
    others = {KeyExchange(EVE).shared_with(ANN.public), KeyExchange(EVE).shared_with(BOB.public)}
    assert secret not in others


def test_a_secret_with_itself_is_the_agents_own() -> None:
    assert KeyExchange(ANN).shared_with(ANN.public) == KeyExchange(ANN).shared_with(ANN.public)
    assert KeyExchange(ANN).shared_with(ANN.public) != KeyExchange(BOB).shared_with(ANN.public)


def test_another_start_with_the_same_keys_makes_the_same_secret() -> None:
    assert KeyExchange(ANN).shared_with(BOB.public) == KeyExchange(ANN).shared_with(BOB.public)


def test_with_a_key_that_is_no_good_there_is_a_secret_that_anyone_knows_and_no_error() -> None:
    assert len(KeyExchange(ANN).shared_with("0" * 40)) == 32
