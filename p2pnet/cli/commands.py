"""The commands, in the order in which people need them, and the page that lists them. Names and texts are literals, so
that `p2pnet --help` imports none of them, nor click.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import click


class Listed(NamedTuple):
    """A command as the list of all shows it."""

    place: str
    """module:attribute within `p2pnet.cli`"""
    text: str

    def load(self) -> "click.Command":
        module, _, attribute = self.place.partition(":")
        command: click.Command = getattr(import_module(f"p2pnet.cli.{module}"), attribute)
        return command


SECTIONS: Final[Mapping[str, Mapping[str, Listed]]] = {
    "Try it on this machine": {
        "demo": Listed("demo:demo", "Agents as processes of this machine train one network."),
        "simulate": Listed("simulate:simulate", "Up to 10,000 agents in one process and virtual time."),
        "sweep": Listed("sweep:sweep", "A grid of simulations, settings by seeds."),
    },
    "Begin a network, or join one": {
        "init": Listed("init:init", "Begin a network on this machine."),
        "invite": Listed("invite:invite", "Print a line by which one machine can join."),
        "join": Listed("join:join", "Join by such a line."),
        "revoke": Listed("trust:revoke", "Cut a member off, for good."),
        "grant": Listed("trust:grant", "Let a member invite and revoke."),
        "trust": Listed("trust:trust", "List, add or remove members."),
        "id": Listed("trust:show_id", "Print this agent's key and names."),
        "rotate": Listed("rotate:rotate", "Give this agent another key."),
        "keygen": Listed("keygen:keygen", "Make a key pair, for settings that list keys."),
    },
    "Run an agent": {
        "check": Listed("check:check", "Say what is wrong with settings and samples."),
        "run": Listed("run:run", "Run the agent of an agent.toml."),
        "doctor": Listed("doctor:doctor", "Say why agents do not come together."),
    },
    "Ask and tell the running agent": {
        "status": Listed("control:status", "Where its training stands."),
        "peers": Listed("control:peers", "Its neighbors."),
        "watch": Listed("control:watch", "All agents of the network."),
        "page": Listed("page:page", "The same in a browser; metrics, predictions."),
        "reload": Listed("control:reload", "Read settings and samples anew."),
        "checkpoint": Listed("control:checkpoint", "Save a checkpoint now."),
        "away": Listed("control:away", "End for a while."),
        "leave": Listed("control:leave", "End for good: its data leaves the network."),
    },
    "Use a trained model": {
        "predict": Listed("predict:predict", "Predict for the rows of a table."),
        "evaluate": Listed("evaluate:evaluate", "Say how good it is on a table with targets."),
        "inspect": Listed("inspect:inspect", "Say what it is and where it comes from."),
        "export": Listed("export:export", "Write it as ONNX, safetensors or for scikit-learn."),
    },
}
COMMANDS: Final[Mapping[str, Listed]] = {name: one for section in SECTIONS.values() for name, one in section.items()}

_HEAD: Final = """\
Usage: p2pnet [OPTIONS] COMMAND [ARGS]...

  Train a neural network over many machines, without a server, while the data
  stays where it is.

Options:"""
_OPTIONS: Final = {"--version": "Show the version and exit.", "-h, --help": "Show this message and exit."}


def help_page() -> str:
    """What `p2pnet --help` shows."""
    return "\n".join(_help_lines()) + "\n"


def _help_lines() -> Iterator[str]:
    width = max(map(len, COMMANDS))
    yield _HEAD
    yield from (f"  {name:{width}}  {text}" for name, text in _OPTIONS.items())
    for title, commands in SECTIONS.items():
        yield from ("", f"{title}:", *(f"  {name:{width}}  {listed.text}" for name, listed in commands.items()))
