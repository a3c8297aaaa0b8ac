# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""URLs as a probe needs them: taken apart, fit for the wire, and fit to be shown (RFC 3986, RFC 9110 section 4)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

PORTS = {"http": 80, "https": 443}
MAX_URL = 2048

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_TOKEN_LIKE = re.compile(r"(?=[^/]*\d)(?=[^/]*[A-Za-z])[A-Za-z0-9_~+=-]{24,}")
# What may stand in path and query as it is; everything else is percent-encoded, and "%" is left as the user wrote it.
_SAFE = "!#$%&'()*+,/:;=?@[]~"


class UrlError(ValueError):
    """Says in a few words what a URL would have to be."""


@dataclass(frozen=True)
class Url:
    """``host`` is lower case, ASCII and without brackets; ``target`` is path and query as the request line has them."""

    scheme: str
    host: str
    port: int
    target: str
    user: str = ""
    password: str = ""

    @property
    def authority(self) -> str:
        """The value of the Host field: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def address(self) -> str:
        """The host where it is an IP address, else empty."""
        return self.host if is_address(self.host) else ""

    @property
    def shown(self) -> str:
        """For people: without user and password, query values and path segments that look like a token."""
        path, mark, query = self.target.partition("?")
        path = "/".join("***" if _TOKEN_LIKE.fullmatch(segment) else segment for segment in path.split("/"))
        if mark:
            names = [part.partition("=") for part in query.split("&")]
            query = "&".join(f"{name}=***" if equals else "***" for name, equals, _value in names)
        return f"{self.scheme}://{self.authority}{path}{mark}{query}"


def is_address(host: str) -> bool:
    """Whether a host is written as an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def parse(text: str) -> Url:
    """A URL taken apart; raises UrlError."""
    if len(text) > MAX_URL:
        raise UrlError(f"a URL of at most {MAX_URL} characters")
    if _UNPRINTABLE.search(text):
        raise UrlError("a URL without blanks and control characters")
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise UrlError("a URL with a valid host, and a port from 1 to 65535 if any") from None
    if parts.scheme not in PORTS or not host:
        raise UrlError("an http:// or https:// URL with a host")
    if port == 0:
        raise UrlError("a URL with a port from 1 to 65535")
    target = quote(parts.path or "/", safe=_SAFE) + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")
    return Url(
        scheme=parts.scheme,
        host=ascii_host(host),
        port=port or PORTS[parts.scheme],
        target=target,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def ascii_host(host: str) -> str:
    """A host name as DNS and TLS want it (RFC 5890 A-labels), or an address as it is; raises UrlError."""
    if is_address(host):
        return host
    try:
        plain = host.encode("idna").decode("ascii").lower() if not host.isascii() else host.lower()
    except UnicodeError:
        plain = ""
    labels = plain.rstrip(".").split(".")
    if len(plain) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlError("a URL whose host is a host name or an IP address")
    return plain


def join(base: Url, location: str) -> Url:
    """Where a Location field leads, seen from ``base``; raises UrlError."""
    plain = f"{base.scheme}://{base.authority}{base.target}"
    try:
        return parse(urljoin(plain, location))
    except UrlError:
        raise
    except ValueError:
        raise UrlError("an http:// or https:// URL with a host") from None


def same_site(one: Url, other: Url) -> bool:
    """The same host, with or without ``www.`` in front."""
    return _bare(one.host) == _bare(other.host)


def _bare(host: str) -> str:
    name = host.rstrip(".")
    return name[4:] if name.startswith("www.") else name
