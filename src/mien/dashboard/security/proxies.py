"""What proxies say of a request: whose it is, and under which name, scheme and path its viewer sees the dashboard.

Headers that say so (`X-Forwarded-For`, `-Host`, `-Proto`, `-Prefix`) can be written by anybody. They are believed of
the proxies in `dashboard.trusted_proxies` alone and written into the scope; of others nothing is read but that
a request which bears them did not begin on this machine.
"""

from __future__ import annotations

import ipaddress
import re

from starlette.datastructures import Headers
from starlette.types import Scope

from mien.config import parse_base_path, parse_networks
from mien.dashboard.base_path import set_base

__all__ = ["PROXIED", "Proxies"]

PROXIED = "mien.proxied"
"""The key in a request's scope: whether it may have begun on another machine, though its peer is on this one."""

FORWARDING = {
    "forwarded", "via", "client-ip", "true-client-ip", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "cdn-loop",
    "x-host", "x-scheme", "x-url-scheme", "x-script-name", "x-proxyuser-ip",
}  # fmt: skip
FORWARDING_PREFIXES = ("x-forwarded", "x-original-", "x-envoy-", "x-appengine-", "cf-", "tailscale-")
"""Headers that proxies add and browsers do not."""

SCHEME = re.compile("https?", re.IGNORECASE)
HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


class Proxies:
    """The proxies that are trusted.

    Args:
        trusted: Their addresses or networks, separated by commas.
        root_path: The path under which they show the dashboard where they do not say it themselves.

    Raises:
        ValueError: One is no address or network, or the path is none.
    """

    def __init__(self, trusted: str = "", root_path: str = "") -> None:
        self._networks = parse_networks(trusted)
        self._root_path = parse_base_path(root_path)

    def trusts(self, address: str) -> bool:
        """Return whether what comes from an address comes from a proxy that is trusted."""
        parsed = _address(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def read(self, scope: Scope) -> str | None:
        """Write into a request's scope what is to be believed of it; return why it must be refused, None: it need not.

        Args:
            scope: The request's. Its client, scheme, host and paths become those that its viewer knows.
        """
        headers = Headers(scope=scope)
        client = scope.get("client")
        trusted = client is not None and self.trusts(client[0])
        # A proxy that says nothing of itself, as nginx does unless told to, speaks HTTP/1.0; browsers do not.
        scope[PROXIED] = trusted or scope.get("http_version") == "1.0" or any(map(_forwards, headers))
        if not trusted:
            set_base(scope, self._root_path, stripped=False)
            return None
        try:
            scheme = _single(headers, "x-forwarded-proto", SCHEME, "http or https")
            host = _single(headers, "x-forwarded-host", HOST, "a name, with a port where there is one")
            prefix = _prefix(headers)
            viewer = self._viewer(headers)
        except ValueError as error:
            set_base(scope, self._root_path, stripped=False)
            return f"a proxy sent {error}; it must set this itself, in place of what others send"
        if scheme:
            scope["scheme"] = scheme.lower()
        if host:
            others = [pair for pair in scope["headers"] if pair[0] != b"host"]
            scope["headers"] = [(b"host", host.encode("ascii")), *others]
        if viewer:
            scope["client"] = (viewer, 0)
        base = self._root_path if prefix is None else prefix
        set_base(scope, base, stripped=prefix is not None)
        return None

    def _viewer(self, headers: Headers) -> str:
        """Return the address that the nearest proxy which is not trusted, or the viewer, has; "" where none is said.

        Proxies append to what they were sent, so it is read from the end, and what stands before may be lies.
        """
        address = ""
        for entry in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
            if not entry.strip() and not address:
                return ""
            parsed = _address(_without_port(entry.strip()))
            if parsed is None:
                raise ValueError(f"x-forwarded-for with {entry[:60]!a}, expected an address")
            address = str(parsed)
            if not self.trusts(address):
                break
        return address


def _forwards(name: str) -> bool:
    return name in FORWARDING or name.startswith(FORWARDING_PREFIXES)


def _single(headers: Headers, name: str, pattern: re.Pattern[str], expected: str) -> str:
    """Return a header's one value, "" where it has none.

    Raises:
        ValueError: It has several, or another than expected.
    """
    values = [value.strip() for value in headers.getlist(name)]
    if not values or values == [""]:
        return ""
    if len(values) > 1 or not pattern.fullmatch(values[0]):
        raise ValueError(f"{name} with {', '.join(values)[:60]!a}, expected {expected}")
    return values[0]


def _prefix(headers: Headers) -> str | None:
    """Return the path that a proxy took away from the request's; None where it does not say."""
    name = "x-forwarded-prefix"
    value = _single(headers, name, re.compile(".*", re.DOTALL), "one path")
    try:
        return parse_base_path(value) if value else None
    except ValueError as error:
        raise ValueError(f"{name} with {value[:60]!a}, {error}") from None


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
