"""The command group `p2pnet`, and the exit codes of errors."""

import sys
from typing import Any

import click

from p2pnet import __version__
from p2pnet.errors import P2pnetError


class _Commands(click.Group):
    """A group of commands that report each P2pnetError as one line on standard error and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except P2pnetError as error:
            click.echo(f"p2pnet: {' '.join(str(error).split())}", err=True)
            sys.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="p2pnet")
def main() -> None:
    """Train a neural network over many machines, without a server, while the data stays where it is."""
