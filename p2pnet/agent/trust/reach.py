"""At which addresses a new machine may reach this agent."""

from __future__ import annotations

from p2pnet.agent.network_options import NetworkOptions
from p2pnet.agent.transport.discovery import lan_interfaces
from p2pnet.agent.trust.invitation import MAX_ADDRESSES
from p2pnet.errors import ConfigError
from p2pnet.protocol.core.address import Address


def addresses_of(network: NetworkOptions) -> tuple[str, ...]:
    """The address that the settings give, else those of this machine's interfaces; ConfigError where there is none."""
    if network.bind == "none":
        raise ConfigError(
            "network.bind = none: no machine can dial this agent; invite from another one, or give an --address that "
            "leads here"
        )
    if network.advertise is not None:
        return (network.advertise,)
    bind = Address.parse(network.bind)
    if not bind.port:
        raise ConfigError(f"network.bind = {network.bind}: names no port that stays; choose one")
    try:
        hosts = [str(interface.ip) for interface in lan_interfaces(network.bind)]
    except ValueError:  # a host name
        hosts = [bind.host]
    addresses = [str(Address(host, bind.port)) for host in hosts if not host.startswith("fe80")]
    return tuple(addresses[:MAX_ADDRESSES])
