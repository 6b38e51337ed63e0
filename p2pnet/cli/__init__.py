"""The command line: parse, call, print, exit code. What a command needs is imported when it runs."""

import sys

from p2pnet.cli.commands import help_page


def main() -> None:
    """Do what the command line says. The list of all commands is shown without click, in half the time."""
    if sys.argv[1:] in (["--help"], ["-h"]):
        sys.stdout.write(help_page())
        return
    from p2pnet.cli.group import main as run

    run()
