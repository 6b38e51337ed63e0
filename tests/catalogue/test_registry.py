"""Registries: what is built in, what other packages offer, and what is said where neither has a name."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.catalogue.activations import ACTIVATIONS
from p2pnet.catalogue.losses import LOSSES, LossEntry, losses_for
from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.readers import READERS
from p2pnet.catalogue.registry import Offer, Parameter, Registry, Term, TermEntry, TermRegistry
from p2pnet.catalogue.solvers import SOLVERS
from p2pnet.catalogue.step_rules import STEP_RULES
from p2pnet.catalogue.surrogates import SURROGATES
from p2pnet.catalogue.topologies import TOPOLOGIES, topology_forms
from p2pnet.errors import ConfigError

REGISTRIES: list[Registry[Any]] = [
    *(LOSSES, PENALTIES, ACTIVATIONS, SOLVERS, SURROGATES, STEP_RULES, TOPOLOGIES, READERS),
]
TERMS = [*PENALTIES, *STEP_RULES, *TOPOLOGIES]
PINBALL = LossEntry(name="pinball", target="fractions:Fraction", tasks=("regression",))
NUMBERS = TermEntry(name="numbers", target="fractions:Fraction", parameters=(Parameter("N", is_whole=True),))


def offer(name: str, found: object, provider: str = "toys 1.2") -> Offer:
    def load() -> object:
        if isinstance(found, Exception):
            raise found
        return found

    return Offer("p2pnet.losses", name, "toys:thing", provider, load)


def losses_with(*offers: Offer) -> Registry[LossEntry]:
    return replace(LOSSES, find=lambda: offers)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_every_built_in_target_exists_and_no_name_is_there_twice(registry: Registry[Any]) -> None:
    assert len(set(registry.built_in_names)) == len(registry.built_in_names)
    assert registry.group.startswith("p2pnet.")
    for entry in registry:
        assert callable(entry.load())
        assert entry.provider == ""
        assert entry.named_in("text") == "text"


def test_no_two_registries_share_a_group() -> None:
    assert len({registry.group for registry in REGISTRIES}) == len(REGISTRIES)


def test_an_entry_of_another_package_is_loaded_when_its_name_is_asked_for() -> None:
    asked: list[str] = []

    def load() -> object:
        asked.append("pinball")
        return PINBALL

    losses = losses_with(Offer("p2pnet.losses", "pinball", "toys:thing", "toys 1.2", load))
    assert losses.names == (*LOSSES.built_in_names, "pinball")
    assert losses["huber"] is LOSSES["huber"]
    assert "pinball" in losses
    assert asked == []
    entry = losses["pinball"]
    assert asked == ["pinball"]
    assert entry == replace(PINBALL, provider="toys 1.2")
    assert entry.named_in("pinball 0.9") == "pinball 0.9 (toys 1.2)"
    assert entry.load()(3, 6) == 0.5


def test_a_class_may_carry_its_entry() -> None:
    class Pinball:
        entry = replace(PINBALL, target="")

    assert losses_with(offer("pinball", Pinball))["pinball"] == replace(
        PINBALL, target="toys:thing", provider="toys 1.2"
    )


class Empty:
    """Carries no entry."""


@pytest.mark.parametrize(
    ("offers", "name", "said"),
    [
        ([offer("huber", PINBALL)], "huber", "loss huber: the name is taken by p2pnet itself and by toys 1.2"),
        (
            [offer("pinball", PINBALL), offer("pinball", PINBALL, "others 3")],
            "pinball",
            "taken by toys 1.2 and by others 3; uninstall all but one",
        ),
        ([offer("pinball", ImportError("no toys"))], "pinball", "pinball of toys 1.2 cannot be loaded: .* no toys"),
        ([offer("pinball", 3)], "pinball", "toys:thing must be a LossEntry, or a class with one as its `entry`"),
        ([offer("pinball", Empty)], "pinball", "toys:thing must be a LossEntry"),
        ([offer("other", PINBALL)], "other", "its entry must have the name other"),
        ([offer("pinball", replace(PINBALL, target=""))], "pinball", "and a target"),
        ([offer("pinball", PINBALL)], "pinbal", "loss 'pinbal': must be one of .*, pinball; did you mean pinball?"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(offers: list[Offer], name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        losses_with(*offers)[name]


def test_a_target_of_another_package_that_cannot_be_imported_is_one_clear_error() -> None:
    entry = replace(PINBALL, target="no_such_module:Pinball", provider="toys 1.2")
    with pytest.raises(ConfigError, match=r"pinball of toys 1\.2 cannot be imported: No module"):
        entry.load()


@pytest.mark.parametrize("entry", TERMS, ids=lambda entry: entry.name)
@given(data=st.data())
def test_a_term_that_its_parameters_accept_is_read_back_as_its_numbers(entry: TermEntry, data: st.DataObject) -> None:
    registry = TermRegistry("thing", "p2pnet.things", TermEntry, [entry], find=tuple)
    numbers = data.draw(st.lists(st.floats() | st.integers(-3, 3), max_size=len(entry.parameters) + 1))
    text = ":".join([entry.name, *map(repr, numbers)])
    is_right = (
        len(numbers) in {form.count(":") for form in entry.forms}
        and all(map(math.isfinite, numbers))
        and all(parameter.accepts(x) for parameter, x in zip(entry.parameters, numbers, strict=False))
        and (not entry.is_increasing or numbers == sorted(set(numbers)))
    )
    if is_right:
        assert registry.parse(text) == Term(entry.name, tuple(numbers))
    else:
        with pytest.raises(ValueError, match="must be"):
            registry.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("number:1", "must be one of numbers:N; did you mean numbers?"),
        ("numbers", "must be written as numbers:N, with numbers"),
        ("numbers:x", "must be written as numbers:N, with numbers"),
        ("numbers:0.5", "N must be a whole number"),
    ],
)
def test_a_wrong_term_is_told_what_would_be_right(text: str, said: str) -> None:
    registry = TermRegistry("thing", "p2pnet.things", TermEntry, [NUMBERS], find=tuple)
    with pytest.raises(ValueError, match="must") as caught:
        registry.parse(text)
    assert str(caught.value) == said


def test_the_forms_of_a_topology_show_what_may_be_left_out() -> None:
    assert {"random", "random:P", "regular:D"} < set(topology_forms(is_changing=False))
    assert topology_forms(is_changing=True) == ("one-peer-exponential", "matching", "overlay")


def test_the_default_loss_of_a_task_is_the_first_for_it() -> None:
    assert losses_for("regression")[0] == "half-squared"
    assert losses_for("classification")[0] == "softmax-cross-entropy"
