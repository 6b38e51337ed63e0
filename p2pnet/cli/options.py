"""Options that several commands share, and types of options."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, final

import click

from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.readers import READERS
from p2pnet.catalogue.registry import Registry

Command: TypeAlias = Callable[..., Any]
Decorator: TypeAlias = Callable[[Command], Command]

DATASETS = "digits, breast-cancer, diabetes, wine, iris, linnerud, images[:ROWS[:SEED]]"
DATA_FILES = ", ".join(f"FILE.{name}" for name in READERS.built_in_names)


@final
class NameOption(click.Option):
    """An option whose value is a name in a registry of the catalogue; `also` are allowed besides."""

    def __init__(self, *args: Any, registry: Registry[Any], also: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **{"show_default": True, **kwargs})
        self._registry = registry
        self._also = also

    def make_metavar(self, *_: Any, **__: Any) -> str:
        return f"[{'|'.join((*self._also, *self._registry.names))}]"

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        name = super().process_value(ctx, value)
        if name not in self._also and name not in self._registry:
            raise click.BadParameter(f"{name!r} {self._registry.requirement(name, self._also)}.", ctx, self)
        return name


def options_of(*options: Decorator) -> Decorator:
    """Combine option decorators, shown in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _shorthand(flag: str, key: str) -> Decorator:
    return click.option(flag, key.replace(".", "__"), metavar="VALUE", help=f"Short for --set {key}=VALUE.")


settings_flags = options_of(
    click.option(
        "--set", "flags", multiple=True, metavar="SECTION.KEY=VALUE", help="Overrule a setting; may be repeated."
    ),
    _shorthand("--log-level", "log.level"),
    _shorthand("--rounds", "algorithm.rounds"),
    _shorthand("--bind", "network.bind"),
    _shorthand("--name", "agent.name"),
)
"""Flags that overrule an agent.toml."""


agent_toml_argument = click.argument("agent_toml", type=click.Path(path_type=Path), default="agent.toml")
"""AGENT_TOML, that of the present directory by default."""

settings_options = options_of(agent_toml_argument, settings_flags)
"""AGENT_TOML and the flags that overrule it."""


model_options = options_of(
    click.argument("model", type=click.Path(path_type=Path)),
    click.option("--loss", metavar="NAME", help="Of a file of release 0.1, which may not say its loss."),
    click.option("--factory", metavar="PACKAGE.MODULE:NAME", help="Makes the network, where it is one's own."),
)
"""A model file, and what it cannot say itself."""


rows_options = options_of(
    click.argument("data", type=click.Path(path_type=Path)),
    click.option("--ignore", multiple=True, metavar="COLUMN", help="Of DATA, to be left out; may be repeated."),
)
"""Rows to predict for."""


def _columns(flag: str, text: str) -> Decorator:
    return click.option(flag, multiple=True, metavar="COLUMN", help=text)


def network_options(*, agents: str, topology: str, data: str) -> Decorator:
    """Options for agents, data and graph, with the command's help texts."""
    return options_of(
        click.option("--agents", default=8, show_default=True, help=agents),
        click.option("--topology", default="ring", show_default=True, help=topology),
        click.option("--data", default="digits", show_default=True, help=data),
        click.option("--target", metavar="COLUMN", help="Column of the file to predict; default: the last one."),
        _columns("--ignore", "Column of the file to leave out; may be repeated."),
        _columns("--categorical", "Column of levels, an input each; may be repeated."),
        _columns("--dates", "Column of dates; may be repeated."),
        click.option(
            "--missing", type=click.Choice(["refuse", "drop", "mean", "indicator"]), default="refuse", show_default=True
        ),
        click.option(
            "--task", type=click.Choice(["auto", "regression", "classification"]), default="auto", show_default=True
        ),
    )


def training_options(*, pace: str) -> Decorator:
    """Options for model, objective and rounds."""
    return options_of(
        click.option(
            "--hidden", default="32", show_default=True, help="Widths of the hidden layers, as in 64,32; or none."
        ),
        click.option(
            "--factory",
            metavar="PACKAGE.MODULE:NAME",
            help="A model of your own instead, made by this function or class; found in the working directory, too.",
        ),
        click.option(
            "--argument", "arguments", multiple=True, metavar="NAME=VALUE", help="Of the factory; may be repeated."
        ),
        click.option("--penalty", default="l2:1e-3", show_default=True, help=f"{', '.join(PENALTIES.forms)}."),
        click.option(
            "--rounds", default=500, show_default=True, help="Most rounds; it ends earlier when it has converged."
        ),
        click.option("--pace", "pace_s", default=0.0, metavar="SECONDS", help=f"Least time a round takes, {pace}."),
        click.option("--seed", default=0, show_default=True, help="Seed of everything random."),
    )


def report_options(*, files: str) -> Decorator:
    """Options for the report."""
    return options_of(
        click.option(
            "--report",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            help=f"Keep summary.json, history.csv, curves.png, and {files}.",
        ),
        click.option(
            "--json", "is_json", is_flag=True, help="Print the summary as JSON on standard output, nothing else."
        ),
    )


def all_flags(flags: tuple[str, ...], shorthands: dict[str, str | None]) -> list[str]:
    """Combine all flags as `section.key=value`, short flags last."""
    named = [f"{key.replace('__', '.')}={value}" for key, value in shorthands.items() if value is not None]
    return [*flags, *named]
