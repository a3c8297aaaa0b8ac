# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints as users write them, checked and with the module's options as defaults."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError, UnknownOption
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import ELLIPSIS, clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web import fields, statuses
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.content import Content, assertions
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.url import Url, UrlError, parse

MAX_ENDPOINTS = 10_000

#: Every option that the module and each endpoint share: how the module's argument spec has it, and its reader.
SHARED: Mapping[str, tuple[Mapping[str, Any], fields.Reader]] = {
    "method": (
        {"type": "str", "choices": ["GET", "HEAD", "POST"], "default": "GET"},
        fields.choice("GET", "HEAD", "POST"),
    ),
    "headers": ({"type": "dict", "default": {}, "no_log": True}, fields.headers),
    "body": ({"type": "raw", "no_log": True}, fields.body),
    "expected_status": ({"type": "list", "elements": "str", "default": []}, fields.optional_status),
    "json": ({"type": "list", "elements": "dict", "default": []}, assertions),
    "body_matches": ({"type": "list", "elements": "str", "default": []}, fields.patterns),
    "body_lacks": ({"type": "list", "elements": "str", "default": []}, fields.patterns),
    "header_matches": ({"type": "dict", "default": {}}, fields.header_patterns),
    "redirects": (
        {"type": "str", "choices": ["follow", "refuse", "expect"], "default": "follow"},
        fields.choice("follow", "refuse", "expect"),
    ),
    "redirect_to": ({"type": "str"}, fields.pattern),
    "max_redirects": ({"type": "int", "default": 5}, fields.whole(1, 20)),
    "redirect_other_host": ({"type": "bool", "default": False}, fields.boolean),
    "redirect_downgrade": ({"type": "bool", "default": False}, fields.boolean),
    "ip_version": (
        {"type": "str", "choices": ["any", "4", "6", "both"], "default": "any"},
        fields.choice("any", "4", "6", "both"),
    ),
    "timeout_seconds": ({"type": "float", "default": 10.0}, fields.seconds(0.05, 600)),
    "samples": ({"type": "int", "default": 5}, fields.whole(1, 1000)),
    "warmup": ({"type": "int", "default": 1}, fields.whole(0, 10)),
    "max_bytes": ({"type": "int", "default": 1_048_576}, fields.whole(1, 1_073_741_824)),
    "min_bytes": ({"type": "int", "default": 0}, fields.whole(0, 1_073_741_824)),
    "tls_verify": ({"type": "bool", "default": True}, fields.boolean),
    "ca_cert": ({"type": "path"}, fields.file),
    "client_cert": ({"type": "path"}, fields.file),
    "client_key": ({"type": "path"}, fields.file),
    "sni": ({"type": "str"}, fields.host),
    "connect_to": ({"type": "str"}, fields.place),
    "refused": ({"type": "bool", "default": False}, fields.boolean),
    "login_user": ({"type": "str"}, fields.text),
    "login_password": ({"type": "str", "no_log": True}, fields.secret),
}
#: What an endpoint has of its own. ``server`` is what ``discover`` found to serve it.
OWN = ("url", "name", "server")
#: Options whose values mix secrets with plain words.
PRIVATE = ("endpoints", "headers", "body")

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "endpoints": {"type": "list", "elements": "raw", "required": True, "no_log": True},
    "concurrency": {"type": "int", "default": 50},
    "budget_seconds": {"type": "float", "default": 300.0},
    **{name: argument for name, (argument, _reader) in SHARED.items()},
}

_PLAIN_HEADERS = frozenset(
    {"accept", "accept-language", "cache-control", "content-type", "host", "origin", "referer", "user-agent"}
)
_WORTH_HIDING = 4


@dataclass(frozen=True)
class Endpoint:
    """One thing to ask for, over one version of IP. ``connect_to`` is (address, port or 0)."""

    name: str
    url: Url
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    expected_status: statuses.StatusSet
    content: Content
    redirects: str
    redirect_to: Any
    max_redirects: int
    redirect_other_host: bool
    redirect_downgrade: bool
    ip_version: str
    timeout_seconds: float
    samples: int
    warmup: int
    max_bytes: int
    min_bytes: int
    tls_verify: bool
    ca_cert: str | None
    client_cert: str | None
    client_key: str | None
    sni: str | None
    connect_to: tuple[str, int] | None
    refused: bool
    login_user: str | None
    login_password: str | None
    server: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not come back in evidence, even when the server echoes it; the longest first."""
        values = [value for name, value in self.headers if name.lower() not in _PLAIN_HEADERS]
        values += [self.login_password or "", self.url.password, basic_credentials(self)]
        values += [(self.body or b"").decode("utf-8", "replace")]
        values += [part.partition("=")[2] for part in self.url.target.partition("?")[2].split("&")]
        words = [word for value in values for word in (value, value.rpartition(" ")[2])]
        return tuple(sorted({word for word in words if len(word) >= _WORTH_HIDING}, key=len, reverse=True))

    def conceal(self, text: str) -> str:
        """A text without this endpoint's secrets, nor the beginning of one where the text was cut within it."""
        for value in self.secrets:
            text = text.replace(value, "***")
        pieces = text.split(ELLIPSIS)
        return ELLIPSIS.join([*(self._without_beginning(piece) for piece in pieces[:-1]), pieces[-1]])

    def _without_beginning(self, text: str) -> str:
        for value in self.secrets:
            for size in range(min(len(value), len(text)), _WORTH_HIDING - 1, -1):
                if text.endswith(value[:size]):
                    return f"{text[:-size]}***"
        return text


def basic_credentials(endpoint: Endpoint) -> str:
    """The credentials of the Basic scheme (RFC 7617); empty without a user."""
    user = endpoint.login_user or endpoint.url.user
    if not user:
        return ""
    password = endpoint.login_password if endpoint.login_user else endpoint.url.password
    return base64.b64encode(f"{user}:{password or ''}".encode()).decode("ascii")


def read_all(params: Mapping[str, Any]) -> list[Endpoint]:
    """All endpoints of the module's parameters; raises OptionError."""
    fields.whole(1, 500)(params["concurrency"], option="concurrency")
    fields.seconds(1, 86_400)(params["budget_seconds"], option="budget_seconds")
    raw = fields.sequence(params["endpoints"], option="endpoints")
    if len(raw) > MAX_ENDPOINTS:
        raise OptionError("endpoints", f"a list of {len(raw)}", f"a list of at most {MAX_ENDPOINTS} endpoints")
    defaults = {name: _read(name, params[name], option=name) for name in SHARED}
    found = [
        endpoint
        for index, one in enumerate(raw)
        for endpoint in _versions(_endpoint(one, defaults, option=f"endpoints[{index}]"))
    ]
    return _distinct(found)


def _read(name: str, raw: object, *, option: str) -> Any:
    _argument, reader = SHARED[name]
    if raw is None:
        return None
    return reader(raw, option=option)


def _endpoint(raw: object, defaults: Mapping[str, Any], *, option: str) -> Endpoint:
    given = {"url": raw} if isinstance(raw, str) else raw
    if not isinstance(given, Mapping):
        raise OptionError(option, "***", "a URL or a mapping with a url")
    for key in given:
        if key not in SHARED and key not in OWN:
            raise UnknownOption(f"{option}.{key}", (*OWN, *SHARED))
    url = _url(given.get("url"), option=f"{option}.url")
    own = {key: _read(key, raw, option=f"{option}.{key}") for key, raw in given.items() if key in SHARED}
    values = {**defaults, **{key: value for key, value in own.items() if given[key] is not None}}
    values["expected_status"] = values["expected_status"] or _usual_status(values["redirects"])
    content = Content(**{key: values.pop(key) for key in ("json", "body_matches", "body_lacks", "header_matches")})
    name = fields.text(given["name"], option=f"{option}.name") if given.get("name") else url.shown
    server = clean(given.get("server") or "")
    endpoint = Endpoint(name=clean(name), url=url, content=content, server=server, **values)
    _must_agree(endpoint, option=option)
    return endpoint


def _usual_status(redirects: str) -> statuses.StatusSet:
    return statuses.parse(["301-303", "307", "308"] if redirects == "expect" else ["2xx"])


def _url(raw: object, *, option: str) -> Url:
    if not isinstance(raw, str):
        raise OptionError(option, "***" if raw else raw, "an http:// or https:// URL with a host")
    try:
        return parse(raw)
    except UrlError as error:
        # The value may hold a password just where it is wrong, so only its harmless beginning is shown.
        shown = raw if raw.isascii() and raw.isprintable() and len(raw) < 100 and not set("@?") & set(raw) else "***"
        raise OptionError(option, shown, str(error)) from None


def _must_agree(endpoint: Endpoint, *, option: str) -> None:
    address = (endpoint.connect_to or ("", 0))[0] or endpoint.url.host
    try:
        version = str(ipaddress.ip_address(address).version)
    except ValueError:
        version = ""
    if version and endpoint.ip_version not in ("any", version):
        raise OptionError(
            f"{option}.ip_version", endpoint.ip_version, f"any or {version}, for {address} is an IPv{version} address"
        )
    if endpoint.content.needs_body and endpoint.method == "HEAD":
        raise OptionError(f"{option}.method", "HEAD", "GET or POST where the body is looked at")
    if endpoint.body is not None and endpoint.method != "POST":
        raise OptionError(f"{option}.method", endpoint.method, "POST where a body is sent")
    if endpoint.client_key and not endpoint.client_cert:
        raise OptionError(f"{option}.client_key", endpoint.client_key, "absent, or beside a client_cert")
    if endpoint.redirect_to is not None and endpoint.redirects == "refuse":
        raise OptionError(f"{option}.redirect_to", endpoint.redirect_to.pattern, "absent where redirects are refused")
    if endpoint.min_bytes > endpoint.max_bytes:
        raise OptionError(f"{option}.min_bytes", endpoint.min_bytes, f"at most max_bytes ({endpoint.max_bytes})")


def _versions(endpoint: Endpoint) -> Sequence[Endpoint]:
    if endpoint.ip_version != "both":
        return [endpoint]
    return [replace(endpoint, name=f"{endpoint.name} (IPv{version})", ip_version=version) for version in ("4", "6")]


def _distinct(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Items must tell findings apart: the second of a name gets a number."""
    seen: dict[str, int] = {}
    found: list[Endpoint] = []
    for endpoint in endpoints:
        seen[endpoint.name] = seen.get(endpoint.name, 0) + 1
        count = seen[endpoint.name]
        found.append(endpoint if count == 1 else replace(endpoint, name=f"{endpoint.name} ({count})"))
    return found
