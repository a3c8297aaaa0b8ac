# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access logs of one JSON object a line, as nginx (``escape=json``), Caddy, Traefik and others write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.expression import MAX_DIGITS, Columns

#: Under which names the parts of a request are looked for, the first that an object has; a point goes into an object.
FIELD_NAMES: Mapping[str, Sequence[str]] = {
    "address": (
        "remote_addr", "client_ip", "remote_ip", "clientip", "ip", "request.remote_ip", "request.client_ip",
        "ClientHost",
    ),
    "user": ("remote_user", "user", "user_id", "ClientUsername"),
    "time": ("time_iso8601", "time_local", "time", "timestamp", "@timestamp", "ts", "msec", "StartUTC"),
    "request": ("request",),
    "method": ("request_method", "method", "request.method", "RequestMethod"),
    "target": ("request_uri", "uri", "url", "request.uri", "RequestPath", "path"),
    "query": ("args", "query_string", "query"),
    "status": ("status", "status_code", "DownstreamStatus", "response"),
    "size": ("body_bytes_sent", "bytes_sent", "bytes", "size", "DownstreamContentSize"),
    "referer": ("http_referer", "referer", "referrer", "request.headers.Referer"),
    "agent": ("http_user_agent", "user_agent", "agent", "request.headers.User-Agent", "request_User-Agent"),
    "seconds": ("request_time", "response_time", "duration", "latency", "Duration"),
    "upstream": ("upstream_response_time", "upstream_time", "OriginDuration"),
    "forwarded": ("http_x_forwarded_for", "x_forwarded_for"),
}  # fmt: skip
#: Traefik counts in nanoseconds.
DIVISORS: Mapping[str, float] = {"Duration": 1e9, "OriginDuration": 1e9}
#: What the user may say in the place of ``seconds``, and by what it is divided to become them.
UNITS: Mapping[str, float] = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}


@dataclass
class JsonLines:
    """``names`` says for each part where it stands; ``wanted`` which part serves as address and as time."""

    names: Mapping[str, str]
    address: str = "address"
    seconds: str = "seconds"
    _paths: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._paths = {role: tuple(name.split(".")) for role, name in self.names.items()}

    def columns(self, block: bytes) -> Columns:
        """The requests of a block of whole lines."""
        paired = [(row, self._head(row)) for row in _objects(block) if isinstance(row, dict)]
        kept = [row for row, head in paired if head]
        return Columns(
            [head for _row, head in paired if head],
            self._column(kept, self.address),
            [size if size.isdigit() and len(size) <= MAX_DIGITS else b"-" for size in self._column(kept, "size")],
            self._column(kept, self.seconds),
            self._column(kept, "agent"),
            self._column(kept, "user"),
        )

    def parse_line(self, block: bytes, at: int) -> dict[str, bytes] | None:
        end = block.find(b"\n", at)
        rows = _objects(block[at : end if end >= 0 else len(block)] + b"\n")
        if not rows or not isinstance(rows[0], dict):
            return None
        return {**{role: self.text(rows[0], role) for role in self._paths}, "address": self.text(rows[0], self.address)}

    def _column(self, rows: Sequence[Mapping[str, Any]], role: str) -> Sequence[bytes]:
        if role not in self._paths:
            return ()
        path = self._paths[role]
        if len(path) > 1:
            return [self.text(row, role) for row in rows]
        name = path[0]
        return [_encoded(row.get(name)) for row in rows]

    def text(self, row: Mapping[str, Any], role: str) -> bytes:
        """A part of a request as a log would write it, ``-`` where there is none."""
        value: Any = row
        for step in self._paths.get(role, ("",)):
            value = value.get(step) if isinstance(value, dict) else None
        return _encoded(value[0] if isinstance(value, list) and value else value)

    def _head(self, row: Mapping[str, Any]) -> bytes:
        status = self.text(row, "status")
        request = row.get("request") if self.names.get("request") == "request" else None
        if isinstance(request, str):
            return b'%b" %b' % (request.encode("utf-8", "replace"), status)
        target = self.text(row, "target")
        query = self.text(row, "query") if b"?" not in target else b"-"
        if query not in (b"-", b""):
            target += b"?" + query.lstrip(b"?")
        return b'%b %b HTTP" %b' % (self.text(row, "method"), target, status) if target != b"-" else b""


def _encoded(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace") or b"-"
    if value is None or isinstance(value, (dict, list, bool)):
        return b"-"
    return b"%d" % value if isinstance(value, int) else str(value).encode()


def _objects(block: bytes) -> list[Any]:
    """The JSON values of the lines; lines that are none are left out."""
    try:
        # One call for all; a line that holds two values, or half of one, makes the number differ.
        rows = json.loads(b"[" + block.rstrip(b"\n").replace(b"\n", b",") + b"]")
        if len(rows) == block.count(b"\n"):
            return rows
    except (ValueError, RecursionError):
        pass
    rows = []
    for line in block.split(b"\n"):
        try:
            # nginx without escape=json writes \x22, which no JSON has.
            rows.append(json.loads(line.replace(b"\\x", b"\\u00")))
        except (ValueError, RecursionError):
            continue
    return rows


def names_in(sample: Sequence[bytes], given: Mapping[str, str]) -> dict[str, str]:
    """Where each part of a request stands, from the names that the user gave and from those that lines have."""
    found = dict(given)
    for line in sample:
        rows = _objects(line + b"\n")
        if not rows or not isinstance(rows[0], dict):
            continue
        for role, names in FIELD_NAMES.items():
            if role not in found:
                there = next((name for name in names if _has(rows[0], name)), None)
                if there:
                    found[role] = there
    return found


def has_unit(name: str, sample: Sequence[bytes]) -> bool:
    """Whether the times under a name can be taken for what they are said to be, or for seconds.

    Whole numbers are of whatever unit: Echo writes nanoseconds, Apache's %D is microseconds, others milliseconds.
    """
    if name in DIVISORS:
        return True
    reader = JsonLines({"seconds": name})
    values = [reader.text(row, "seconds") for row in _objects(b"\n".join(sample) + b"\n") if isinstance(row, dict)]
    figures = [value for value in values if value not in (b"-", b"0")]
    return not figures or not all(value.isdigit() for value in figures)


def _has(row: Mapping[str, Any], name: str) -> bool:
    value: Any = row
    for step in name.split("."):
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return not isinstance(value, dict)
