"""Registries: from a literal name to an entry, built in or of another package, and from the entry to the code.

A package adds entries through an entry point of the registry's group, whose name is the entry's and whose object is the
entry, or a class with the entry as its attribute `entry`. The object is loaded when its name is asked for.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Any, Generic, TypeVar, final

from p2pnet.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The entry of one implementation: name, location and provider; each kind adds fields for capabilities."""

    name: str
    target: str = ""
    """`package.module:attribute` of the implementation; for a class that carries its entry the class itself"""
    provider: str = ""
    """package and version, as in `toys 1.2`, of an implementation that is not built in; set when it is found"""

    def load(self) -> Any:
        """Import the implementation; ConfigError where a provider's cannot be imported."""
        module, _, attribute = self.target.partition(":")
        if not self.provider:
            return getattr(importlib.import_module(module), attribute)
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:  # another package may raise anything
            raise ConfigError(f"{self.name} of {self.provider} cannot be imported: {error}") from error

    def named_in(self, text: str) -> str:
        """`text`, with package and version behind it where the implementation is not built in."""
        return f"{text} ({self.provider})" if self.provider else text


EntryT = TypeVar("EntryT", bound=Entry)


@final
@dataclass(frozen=True, slots=True)
class Offer:
    """An entry point of another package: a name, and where its entry can be loaded from."""

    group: str
    name: str
    value: str
    """`package.module:attribute`"""
    provider: str
    """the package and its version"""
    load: Callable[[], object] = field(compare=False, repr=False)


@cache
def installed_offers() -> tuple[Offer, ...]:
    """The entry points of all installed packages in groups of p2pnet."""
    from importlib.metadata import distributions  # takes as long as all else that help needs

    offers: dict[tuple[str, str, str], Offer] = {}
    for package in distributions():
        for point in package.entry_points:
            if point.group.startswith("p2pnet."):
                name = package.metadata["Name"]
                offer = Offer(point.group, point.name, point.value, f"{name} {package.version}", point.load)
                # Of a package that is installed twice, the first on the path counts, as it does for imports.
                offers.setdefault((point.group, point.name, name), offer)
    return tuple(offers[key] for key in sorted(offers))


@dataclass(frozen=True, slots=True)
class Registry(Generic[EntryT]):
    """The registry of one kind: built-in implementations in their order, then those of other packages."""

    kind: str
    """for messages: `loss`"""
    group: str
    """of entry points: `p2pnet.losses`"""
    entry_type: type[EntryT]
    entries: Sequence[EntryT]
    """those built in"""
    find: Callable[[], Iterable[Offer]] = field(default=installed_offers, repr=False)

    def __iter__(self) -> Iterator[EntryT]:
        """The built-in entries."""
        return iter(self.entries)

    def __contains__(self, name: str) -> bool:
        return any(entry.name == name for entry in self.entries) or any(offer.name == name for offer in self._offers())

    def __getitem__(self, name: str) -> EntryT:
        """Look up an entry; ConfigError where the name is unknown or ambiguous, or the entry cannot be loaded."""
        built_in = next((entry for entry in self.entries if entry.name == name), None)
        offers = [offer for offer in self._offers() if offer.name == name]
        if built_in is not None and not offers:
            return built_in
        if built_in is not None or len(offers) > 1:
            takers = [*(["p2pnet itself"] if built_in is not None else []), *(offer.provider for offer in offers)]
            raise ConfigError(
                f"{self.kind} {name}: the name is taken by {' and by '.join(takers)}; uninstall all but one"
            )
        if not offers:
            raise ConfigError(f"{self.kind} {name!r}: {self.requirement(name)}")
        return self._loaded(offers[0])

    @property
    def built_in_names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.entries)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, without loading their entries."""
        return tuple(dict.fromkeys([*self.built_in_names, *(offer.name for offer in self._offers())]))

    def requirement(self, wrong: str, also: Sequence[str] = ()) -> str:
        """The error text for an unknown name: the possible names; `also` are allowed besides."""
        known = [*also, *self.names]
        close = difflib.get_close_matches(wrong, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"must be one of {', '.join(known)}{hint}"

    def _offers(self) -> Iterator[Offer]:
        return (offer for offer in self.find() if offer.group == self.group)

    def _loaded(self, offer: Offer) -> EntryT:
        where = f"{self.kind} {offer.name} of {offer.provider}"
        try:
            found = offer.load()
        except Exception as error:  # another package may raise anything
            raise ConfigError(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error
        if isinstance(found, type):
            carried = vars(found).get("entry")
            found = replace(carried, target=offer.value) if isinstance(carried, self.entry_type) else carried
        if not isinstance(found, self.entry_type):
            raise ConfigError(
                f"{where}: {offer.value} must be a {self.entry_type.__name__}, or a class with one as its `entry`"
            )
        if found.name != offer.name or not found.target:
            raise ConfigError(f"{where}: its entry must have the name {offer.name} and a target")
        return replace(found, provider=offer.provider)


@final
@dataclass(frozen=True, slots=True)
class Parameter:
    """A number in a term such as `l2:STRENGTH`: its name and its bounds."""

    name: str
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    is_whole: bool = False
    is_optional: bool = False

    def accepts(self, value: float) -> bool:
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
            and (not self.is_whole or value == int(value))
        )

    @property
    def requirement(self) -> str:
        """The bounds as text, as in `STEP_SIZE must be above 0, at most 1`."""
        bounds = {"at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        wanted = ["a whole number"] if self.is_whole else []
        wanted += [f"{how} {bound:g}" for how, bound in bounds.items() if bound is not None]
        return f"{self.name} must be {', '.join(wanted)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TermEntry(Entry):
    """The entry of an implementation with numeric parameters, chosen by a term such as `none` or `l2:STRENGTH`."""

    parameters: tuple[Parameter, ...] = ()
    """in the order of the term; optional ones last"""
    is_increasing: bool = False
    """whether each number must be below the next"""

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms of the term, one for each number of optional parameters."""
        n_required = sum(not parameter.is_optional for parameter in self.parameters)
        names = [parameter.name for parameter in self.parameters]
        return tuple(":".join([self.name, *names[:n]]) for n in range(n_required, len(names) + 1))

    def numbers(self, texts: Sequence[str]) -> tuple[float, ...]:
        """Parse the numbers of a term; ValueError states the requirement."""
        written = f"must be written as {' or '.join(self.forms)}{', with numbers' if self.parameters else ''}"
        n_required = sum(not parameter.is_optional for parameter in self.parameters)
        if not n_required <= len(texts) <= len(self.parameters):
            raise ValueError(written)
        try:
            values = [float(text) for text in texts]
        except ValueError:
            raise ValueError(written) from None
        # What is not finite is unequal to itself or to its difference from itself.
        if any(value - value != 0.0 for value in values):
            raise ValueError(written)
        for parameter, value in zip(self.parameters, values, strict=False):
            if not parameter.accepts(value):
                raise ValueError(parameter.requirement)
        if self.is_increasing and any(one >= other for one, other in pairwise(values)):
            raise ValueError(" must be below ".join(parameter.name for parameter in self.parameters))
        pairs = zip(self.parameters, values, strict=False)
        return tuple(int(value) if parameter.is_whole else value for parameter, value in pairs)


TermT = TypeVar("TermT", bound=TermEntry)


@final
@dataclass(frozen=True, slots=True)
class Term:
    """A parsed term: an entry with its numbers."""

    name: str
    numbers: tuple[float, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class TermRegistry(Registry[TermT]):
    """A registry whose entries are chosen by terms."""

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms of the built-in entries' terms."""
        return tuple(form for entry in self.entries for form in entry.forms)

    def parse(self, text: str) -> Term:
        """Parse a term; ValueError states the requirement."""
        name, *texts = text.split(":")
        if name not in self:
            others = self.names[len(self.entries) :]
            close = difflib.get_close_matches(name, self.names, n=1)
            hint = f"; did you mean {close[0]}?" if name and close else ""
            raise ValueError(f"must be one of {', '.join([*self.forms, *others])}{hint}")
        try:
            entry = self[name]
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return Term(name, entry.numbers(texts))
