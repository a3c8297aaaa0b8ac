# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One reader for each kind of value an endpoint can carry; every wrong value becomes one sentence.

Values arrive typed from a module option, and as whatever YAML or a template made of them inside an endpoint. So every
reader takes both, and none of them shows a value that may be a secret.
"""

from __future__ import annotations

import ipaddress
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web import statuses
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.url import UrlError, ascii_host

MAX_PATTERN = 1000
_TRUE = frozenset({"yes", "true", "on", "1"})
_FALSE = frozenset({"no", "false", "off", "0"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_LINE = re.compile(r"[\x20-\x7e\x80-\U0010ffff\t]*")
# The client frames its messages itself; a second opinion about length or connection would be request smuggling.
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"})

Reader = Callable[..., Any]


def text(raw: object, *, option: str) -> str:
    """One line of text."""
    if not isinstance(raw, (str, int, float)) or isinstance(raw, bool) or not _LINE.fullmatch(str(raw)):
        raise OptionError(option, raw, "one line of text")
    return str(raw)


def secret(raw: object, *, option: str) -> str:
    """One line of text that is never shown."""
    try:
        return text(raw, option=option)
    except OptionError:
        raise OptionError(option, "***", "one line of text") from None


def boolean(raw: object, *, option: str) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise OptionError(option, raw, "true or false")


def whole(low: int, high: int) -> Reader:
    """A reader of whole numbers from ``low`` to ``high``."""

    def read(raw: object, *, option: str) -> int:
        try:
            value = int(str(raw))
        except ValueError:
            value = low - 1
        if isinstance(raw, bool) or not low <= value <= high:
            raise OptionError(option, raw, f"a whole number from {low} to {high}")
        return value

    return read


def seconds(low: float, high: float) -> Reader:
    """A reader of seconds from ``low`` to ``high``."""

    def read(raw: object, *, option: str) -> float:
        try:
            value = float(str(raw))
        except ValueError:
            value = math.nan
        if isinstance(raw, bool) or not low <= value <= high:
            raise OptionError(option, raw, f"a number of seconds from {low:g} to {high:g}")
        return value

    return read


def choice(*choices: str) -> Reader:
    """A reader of one of some words."""

    def read(raw: object, *, option: str) -> str:
        if str(raw) not in choices:
            raise OptionError(option, raw, f"one of {', '.join(choices)}")
        return str(raw)

    return read


def file(raw: object, *, option: str) -> str:
    """A file that can be read now, before anything is asked of anybody."""
    path = os.path.expanduser(text(raw, option=option))
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        raise OptionError(option, raw, "a file on the probing host that can be read")
    return path


def sequence(raw: object, *, option: str) -> list[Any]:
    """A list; a single value stands for a list of one."""
    if isinstance(raw, (str, int, float)) and not isinstance(raw, bool):
        return [raw]
    if not isinstance(raw, Sequence):
        raise OptionError(option, raw, "a list")
    return list(raw)


def pattern(raw: object, *, option: str) -> re.Pattern[str]:
    """A regular expression of Python."""
    if not isinstance(raw, str) or not raw or len(raw) > MAX_PATTERN:
        raise OptionError(option, raw, f"a regular expression of 1 to {MAX_PATTERN} characters")
    try:
        return re.compile(raw)
    except (re.error, OverflowError, RecursionError) as error:
        raise OptionError(option, raw, f"a regular expression ({error})") from None


def patterns(raw: object, *, option: str) -> tuple[re.Pattern[str], ...]:
    return tuple(pattern(one, option=option) for one in sequence(raw, option=option))


def expected_status(raw: object, *, option: str) -> statuses.StatusSet:
    try:
        return statuses.parse(sequence(raw, option=option))
    except ValueError:
        raise OptionError(option, raw, 'a list of status codes such as 200, "2xx" or "301-308"') from None


def optional_status(raw: object, *, option: str) -> statuses.StatusSet | None:
    """Status codes; an empty list leaves the choice to the redirect policy."""
    return expected_status(raw, option=option) if raw not in ([], "", None) else None


def header_name(raw: object, *, option: str) -> str:
    if not isinstance(raw, str) or not _TOKEN.fullmatch(raw):
        raise OptionError(option, raw, "the name of a header field: letters, digits and dashes")
    return raw


def headers(raw: object, *, option: str) -> tuple[tuple[str, str], ...]:
    """Fields to send. Values are never shown, for they carry keys and cookies."""
    if not isinstance(raw, Mapping):
        raise OptionError(option, "***", "a mapping of header names to values")
    fields = []
    for name, value in raw.items():
        where = f"{option}.{header_name(name, option=option)}"
        if name.lower() in _OURS:
            raise OptionError(where, "***", "absent: the module sets this field itself")
        try:
            fields.append((name, secret(value, option=where)))
            fields[-1][1].encode("latin-1")
        except UnicodeEncodeError:
            raise OptionError(where, "***", "text of ISO 8859-1, which is all that header fields can carry") from None
    return tuple(fields)


def header_patterns(raw: object, *, option: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    if not isinstance(raw, Mapping):
        raise OptionError(option, raw, "a mapping of header names to regular expressions")
    return tuple(
        (header_name(name, option=option), pattern(wanted, option=f"{option}.{name}")) for name, wanted in raw.items()
    )


def body(raw: object, *, option: str) -> bytes:
    """What to send: text as it is, anything else as JSON."""
    if isinstance(raw, str):
        return raw.encode("utf-8", "surrogateescape")
    try:
        return json.dumps(raw).encode()
    except (TypeError, ValueError):
        raise OptionError(option, "***", "text, or a structure that can be written as JSON") from None


def host(raw: object, *, option: str) -> str:
    """A host name or address without a port."""
    plain = text(raw, option=option).strip("[]")
    try:
        return ascii_host(plain)
    except UrlError:
        raise OptionError(option, raw, "a host name or an IP address") from None


def place(raw: object, *, option: str) -> tuple[str, int]:
    """``address``, ``address:port``, ``[v6]`` or ``[v6]:port``; port 0 stands for the URL's own."""
    plain = text(raw, option=option)
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::(\d{1,5}))?", plain)
    if match is None:
        try:
            return str(ipaddress.ip_address(plain)), 0
        except ValueError:
            raise OptionError(option, raw, "an address or an address:port, IPv6 in brackets") from None
    port = int(match.group(3) or 0)
    if port > 65535 or (match.group(3) and port == 0):
        raise OptionError(option, raw, "an address:port with a port from 1 to 65535")
    return host(match.group(1) or match.group(2), option=option), port
