"""`p2pnet page`."""

from functools import partial
from pathlib import Path

import click

from p2pnet.cli.imports import find_modules_in
from p2pnet.cli.options import agent_toml_argument

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@agent_toml_argument
@click.option("--set", "flags", multiple=True, metavar="SECTION.KEY=VALUE", help="As the agent was started with.")
@click.option("--bind", default="127.0.0.1:7170", show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option("--host", "names", multiple=True, metavar="NAME", help="Under which browsers call it; may be repeated.")
@click.option("--certificate", type=FILE, metavar="FILE", help="TLS certificate; all addresses but loopback need one.")
@click.option("--key", type=FILE, metavar="FILE", help="Key of the certificate.")
@click.option("--token-file", type=FILE, metavar="FILE", help="Keeps the token, so that it is the same at each start.")
def page(
    agent_toml: Path,
    flags: tuple[str, ...],
    bind: str,
    names: tuple[str, ...],
    certificate: Path | None,
    key: Path | None,
    token_file: Path | None,
) -> None:
    """Show the running agent that AGENT_TOML describes, and its network, in a browser; until Ctrl-C."""
    from p2pnet.catalogue.extras import import_extra

    for library in ("prometheus_client", "starlette", "uvicorn"):
        import_extra(library, "page")

    from p2pnet.config import read_settings
    from p2pnet.page.options import page_options
    from p2pnet.page.serving import serve

    find_modules_in(agent_toml.parent)
    settings = read_settings(agent_toml, flags)
    options = page_options(settings, bind=bind, names=names, certificate=certificate, key=key, token_file=token_file)
    serve(options, partial(click.echo, nl=True))
