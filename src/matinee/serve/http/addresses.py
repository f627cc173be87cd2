"""Addresses and networks: how options name them, and whether an address is one of them."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from matinee.errors import UsageError

Network = IPv4Network | IPv6Network


def read_networks(option: str, text: str) -> list[Network]:
    """The networks in `10.0.0.5,192.168.0.0/16`. option: its name, for the message. Raises UsageError."""
    return [_network(option, part.strip()) for part in text.split(",") if part.strip()]


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks; False for what is no address, such as the name of a socket."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def _network(option: str, text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise UsageError(f"{option} {text[:100]!r} is not an address or a network, such as 10.0.0.0/8") from None
