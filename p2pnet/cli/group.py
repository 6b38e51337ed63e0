"""The command group `p2pnet`, and the exit codes of errors."""

import sys
from typing import Any

import click

from p2pnet import __version__
from p2pnet.cli.commands import COMMANDS, help_page
from p2pnet.errors import ConfigError, P2pnetError

INTERRUPTED = 130
"""The exit code of a process that SIGINT has ended, as shells give it."""


class _Commands(click.Group):
    """The commands of `commands.py`, each imported when it is asked for. They report each P2pnetError on standard
    error, in one line, or in a line for each problem of a file, and by an exit code.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return COMMANDS[cmd_name].load() if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"No such command {args[0]!r}{f'; did you mean {near[0]}?' if near else ''}")
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        return help_page().rstrip()

    def invoke(self, ctx: click.Context) -> Any:
        try:
            _require_posix()
            return super().invoke(ctx)
        except P2pnetError as error:
            for line in (f"p2pnet: {_one_line(error.headline)}", *(f"  {_one_line(each)}" for each in error.problems)):
                click.echo(line, err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("p2pnet: interrupted before its end", err=True)
            sys.exit(INTERRUPTED)


def _require_posix() -> None:
    """ConfigError on a system without file locks and hang-up signals."""
    try:
        import fcntl  # noqa: F401
    except ImportError:
        raise ConfigError("this system is not supported; p2pnet needs Linux or macOS, on Windows WSL") from None


def _one_line(text: str) -> str:
    return " ".join(text.split())


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="p2pnet")
def main() -> None:
    """The command line, as its arguments say."""
