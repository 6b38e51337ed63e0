"""Serving the page: its socket, its certificate, and its end."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import Final

import uvicorn
from starlette.applications import Starlette

from p2pnet.agent.control.client import ControlConnection
from p2pnet.errors import ConfigError, TransportError
from p2pnet.page.app import make_app
from p2pnet.page.feed import AgentFeed
from p2pnet.page.options import BindAddress, Certificate, PageOptions

_MAX_CONNECTIONS: Final = 128
_BACKLOG: Final = 64
_GRACE_S: Final = 5
"""More than the second in which streams end."""


def serve(options: PageOptions, announce: Callable[[str], None]) -> None:
    """Serve the page until SIGINT or SIGTERM; `announce` is given its address, with the token.

    TransportError where the address cannot be bound, ConfigError for a certificate that cannot be used.
    """
    if options.certificate is not None:
        _check_certificate(options.certificate)
    with (
        closing(_listen(options.bind)) as listening,
        closing(AgentFeed(partial(ControlConnection, options.state_dir), time.monotonic, time.time)) as feed,
    ):
        port = listening.getsockname()[1]
        scheme = "http" if options.certificate is None else "https"
        host = min(options.names) if options.bind.is_everywhere else options.bind.url_host
        announce(f"{scheme}://{host}:{port}/?token={options.token}")
        app = make_app(options, port, feed, lambda: server.should_exit)
        server = uvicorn.Server(_config(options, app))
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])


def _config(options: PageOptions, app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=None if options.certificate is None else options.certificate.chain,
        ssl_keyfile=None if options.certificate is None else options.certificate.key,
    )


def _listen(bind: BindAddress) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(bind.host, bind.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise TransportError(f"--bind {bind.url_host}:{bind.port}: {reason}; give another, or port 0") from error
    return listening


def _check_certificate(certificate: Certificate) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate.chain, certificate.key)
    except OSError as error:  # SSLError is one
        reason = error.strerror or error
        raise ConfigError(
            f"--certificate {certificate.chain}, --key {certificate.key}: cannot be used: {reason}; give a certificate "
            "in PEM and its key without a passphrase"
        ) from error
