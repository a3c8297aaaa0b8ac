# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of ``auth_log_review``, each refused in one sentence where it makes no sense."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.applications import (
    Application,
    read_applications,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.firewall import BLOCKED
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.settings import Settings, read_networks

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "source": {"type": "str", "choices": ["auto", "journal", "files"], "default": "auto"},
    "files": {"type": "list", "elements": "str", "default": []},
    "applications": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "str", "required": True},
            "failure": {"type": "str", "required": True},
            "success": {"type": "str"},
        },
    },
    "networks_allowed": {"type": "list", "elements": "str", "default": []},
    "users_allowed": {"type": "list", "elements": "str", "default": []},
    "span_minutes": {"type": "float", "default": 10.0},
    "networks_days": {"type": "int", "default": 90},
    "blocked_pattern": {"type": "str", "default": BLOCKED},
    "first_hours": {"type": "float", "default": 24.0},
    "max_bytes": {"type": "bytes", "default": "256M"},
}

#: Least and largest value of every figure, and what it should be in words.
_LIMITS: Mapping[str, tuple[float, float, str]] = {
    "span_minutes": (0.1, 1440.0, "minutes from 0.1 to 1440"),
    "networks_days": (1, 3650, "days from 1 to 3650"),
    "first_hours": (0.0, 8784.0, "hours from 0 to 8784"),
    "max_bytes": (1024**2, 2**50, "a size of at least 1M"),
}


@dataclass(frozen=True)
class Wanted:
    """What to read: ``source``, ``files`` (none for the usual ones), how far back the first time, how much at most."""

    settings: Settings
    source: str
    files: tuple[str, ...]
    applications: tuple[Application, ...]
    first_seconds: float
    max_bytes: int


def read_options(params: Mapping[str, Any]) -> Wanted:
    """The module's own options. Raises OptionError."""
    for option, (least, most, expected) in _LIMITS.items():
        require_between(params[option], least, most, option=option, expected=expected)
    for at, path in enumerate(params["files"]):
        if not path.startswith("/"):
            raise OptionError(f"files[{at}]", path, "an absolute path or glob")
    try:
        re.compile(params["blocked_pattern"])
    except re.error as error:
        raise OptionError("blocked_pattern", params["blocked_pattern"], f"a regular expression ({error})") from None
    if params["files"] and params["source"] == "journal":
        raise OptionError("files", params["files"], "absent where the source is the journal")
    return Wanted(
        settings=Settings(
            span=params["span_minutes"] * 60,
            networks_allowed=read_networks(params["networks_allowed"], option="networks_allowed"),
            users_allowed=tuple(params["users_allowed"]),
            networks_days=params["networks_days"],
            blocked=params["blocked_pattern"],
        ),
        source="files" if params["files"] else params["source"],
        files=tuple(params["files"]),
        applications=read_applications(params["applications"]),
        first_seconds=params["first_hours"] * 3600,
        max_bytes=params["max_bytes"],
    )
