# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of ``access_log_review``, each refused in one sentence where it makes no sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import (
    require_between,
    require_expressions,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access import formats
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.attacks import Judge
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.choosing import Wish
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.heads import Patterns, patterns
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.jsonlines import FIELD_NAMES, UNITS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.rule import CLASSES
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.files import require_pattern

#: Looked for where no log is named.
USUAL_LOGS = (
    "/var/log/nginx/access.log",
    "/var/log/apache2/access.log",
    "/var/log/apache2/other_vhosts_access.log",
    "/var/log/httpd/access_log",
)
LOGIN_PATHS = [r"/(?:log-?in|sign-?in|logon|auth|authenticate|oauth/token|token|sessions?|wp-login\.php)(?:/|\.\w+)?$"]
UPLOAD_PATHS = [r"/(?:\w+[_-])?(?:uploads?|attachments?|avatars?|userfiles|files|media)(?:/|$)"]

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "logs": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "format": {"type": "str", "default": "auto"},
            "json_fields": {"type": "dict", "default": {}},
            "address": {"type": "str", "choices": ["address", "forwarded"], "default": "address"},
            "time": {"type": "str", "choices": ["auto", "seconds", "upstream"], "default": "auto"},
        },
    },
    "login_paths": {"type": "list", "elements": "str", "default": LOGIN_PATHS},
    "upload_paths": {"type": "list", "elements": "str", "default": UPLOAD_PATHS},
    "paranoia": {"type": "int", "default": 1},
    "allow": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "route": {"type": "str", "required": True},
            "classes": {"type": "list", "elements": "str", "default": list(CLASSES)},
        },
    },
    "max_routes": {"type": "int", "default": 500},
    "min_requests": {"type": "int", "default": 50},
    "mask_addresses": {"type": "bool", "default": False},
    "first_hours": {"type": "float", "default": 24},
    "max_bytes": {"type": "bytes", "default": "2G"},
    "workers": {"type": "int", "default": 1},
}

#: Least and largest value of every figure, and what it should be in words.
_LIMITS: Mapping[str, tuple[float, float, str]] = {
    "paranoia": (1, 3, "a paranoia level from 1 to 3"),
    "max_routes": (10, 5000, "a number of routes from 10 to 5000"),
    "min_requests": (1, 1_000_000, "a number of requests from 1 to 1000000"),
    "first_hours": (0, 87_600, "a number of hours up to 87600, 0 for all that max_bytes allows"),
    "max_bytes": (1024**2, 2**50, "a size of at least 1M"),
    "workers": (1, 64, "a number of processes from 1 to 64"),
}


@dataclass(frozen=True)
class Log:
    """A log or a glob of logs, and what the user said of it."""

    path: str
    wish: Wish


@dataclass(frozen=True)
class Wanted:
    """The options, read. ``logs`` is empty where the usual ones are to be looked for."""

    logs: tuple[Log, ...]
    known: Patterns
    judge: Judge
    max_routes: int
    min_requests: int
    mask: bool
    first_hours: float
    max_bytes: int
    workers: int


def read_options(params: Mapping[str, Any]) -> Wanted:
    """The module's own options. Raises OptionError."""
    for option, (least, most, expected) in _LIMITS.items():
        require_between(params[option], least, most, option=option, expected=expected)
    require_expressions(params["login_paths"], option="login_paths")
    require_expressions(params["upload_paths"], option="upload_paths")
    return Wanted(
        logs=tuple(_read_log(entry, f"logs[{at}]") for at, entry in enumerate(params["logs"])),
        known=patterns(params["login_paths"], params["upload_paths"]),
        judge=Judge(
            paranoia=params["paranoia"],
            allowed=tuple(_read_allowed(entry, f"allow[{at}]") for at, entry in enumerate(params["allow"])),
        ),
        max_routes=params["max_routes"],
        min_requests=params["min_requests"],
        mask=params["mask_addresses"],
        first_hours=params["first_hours"],
        max_bytes=params["max_bytes"],
        workers=params["workers"],
    )


def _read_log(entry: Mapping[str, Any], option: str) -> Log:
    path = entry["path"]
    require_pattern(path, option=f"{option}.path")
    raw = entry.get("format") or "auto"
    if raw not in ("auto", "json"):
        made = formats.parse(raw, option=f"{option}.format")
        _require_role(made, entry, option)
    fields = entry.get("json_fields") or {}
    for role, name in fields.items():
        if role not in FIELD_NAMES and role not in UNITS:
            raise OptionError(f"{option}.json_fields", role, f"keyed by some of {', '.join((*FIELD_NAMES, *UNITS))}")
        if not isinstance(name, str) or not name:
            raise OptionError(f"{option}.json_fields.{role}", name, "the name of a field, such as request.uri")
    times = [role for role in ("seconds", *UNITS) if role in fields]
    if len(times) > 1:
        raise OptionError(f"{option}.json_fields", times[1], f"absent beside {times[0]}: a time has one unit")
    wish = Wish(
        format=raw, json_fields=fields, address=entry.get("address") or "address", time=entry.get("time") or "auto"
    )
    return Log(path=path, wish=wish)


def _require_role(made: formats.Format, entry: Mapping[str, Any], option: str) -> None:
    """What the user wants to be used must be in the format that the user gave."""
    for name, neutral in (("address", "address"), ("time", "auto")):
        role = entry.get(name) or neutral
        if role != neutral and role not in made.roles():
            variable = {
                "forwarded": "$http_x_forwarded_for",
                "upstream": "$upstream_response_time",
                "seconds": "$request_time or %D",
            }
            raise OptionError(f"{option}.{name}", role, f"something that the format has; it has no {variable[role]}")


def _read_allowed(entry: Mapping[str, Any], option: str) -> tuple[str, frozenset[str]]:
    classes = entry.get("classes") or list(CLASSES)
    for at, kind in enumerate(classes):
        if kind not in CLASSES:
            raise OptionError(f"{option}.classes[{at}]", kind, f"one of {', '.join(CLASSES)}")
    if not entry["route"].strip():
        raise OptionError(
            f"{option}.route", entry["route"], "a glob of routes with the method, such as GET /api/query*"
        )
    return entry["route"], frozenset(classes)
