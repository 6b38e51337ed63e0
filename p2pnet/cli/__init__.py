"""The command line: parse, call, print, exit code. What a command needs is imported when it runs."""

from p2pnet.cli.group import main

__all__ = ["main"]
