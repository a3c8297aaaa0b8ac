# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``maintenance_*`` variables, read and checked once before anything is touched."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError, UnknownOption
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels, override
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.ownership import (
    Suppression,
    parse_owners,
    parse_suppressions,
)
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.registry import SUBJECTS, require_check
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.windows import (
    Calendar,
    parse_freezes,
    parse_holidays,
    parse_windows,
    parse_zone,
)

CADENCES = ("", "daily", "weekly", "monthly", "quarterly")
ON_FAILURE = ("error", "finding")
FAIL_ON = ("info", "warning", "unknown", "critical", "never")
#: A year.
MOST_HOURS = 8760
LEVELS_PREFIX = "maintenance_levels"
#: From so much likeness on, 0 to 1, a variable is taken for a misspelt one: a letter or two in a name of usual length.
NEAR = 0.94

#: Everything the collection reads, so that a misspelt variable can be told from one of the user's own.
NAMES = frozenset(
    {
        "maintenance_cadence",
        "maintenance_consumer",
        "maintenance_contacts",
        "maintenance_fail_on",
        "maintenance_freezes",
        "maintenance_holidays",
        "maintenance_notify_remind_hours",
        "maintenance_on_failure",
        "maintenance_override",
        "maintenance_owners",
        "maintenance_reports_dir",
        "maintenance_state_dir",
        "maintenance_store_url",
        "maintenance_suppressions",
        "maintenance_timezone",
        "maintenance_windows",
    }
)


#: What is never shown, logged or hashed.
SECRETS = frozenset({"maintenance_contacts", "maintenance_store_url"})


@dataclass(frozen=True)
class Settings:
    """The settings in force for one host of one run."""

    reports: Path
    levels: dict[str, Any]
    calendar: Calendar
    zone: ZoneInfo
    suppressions: tuple[Suppression, ...]
    owners: tuple[tuple[str, tuple[str, ...]], ...]
    on_failure: str
    fail_on: str
    cadence: str
    consumer: str
    state_dir: str | None
    store_url: str
    contacts: dict[str, list[str]]
    remind_hours: int

    @property
    def journal(self) -> Path:
        return self.reports / "journal"


def gather(variables: Mapping[str, Any], template: Callable[[Any], Any]) -> dict[str, Any]:
    """The templated values of the collection's own variables; nothing else of the inventory is looked at."""
    return {
        name: template(variables[name]) for name in sorted(variables) if name in NAMES or name.startswith(LEVELS_PREFIX)
    }


def refuse_misspelt(names: Iterable[str]) -> None:
    """Raise OptionError for a variable that is nearly one of ours.

    A misspelt ``maintenance_windows`` would let repairs run at any time, and nobody would know why.
    """
    for name in names:
        if not name.startswith("maintenance_") or name in NAMES or name.startswith(LEVELS_PREFIX):
            continue
        meant = difflib.get_close_matches(name, sorted({*NAMES, LEVELS_PREFIX}), n=1, cutoff=NEAR)
        if meant:
            raise UnknownOption(name, meant)


def parse(given: Mapping[str, Any], *, working_directory: Path, environment: Mapping[str, str]) -> Settings:
    """Settings from what :func:`gather` found. Raises OptionError, in a sentence, for the first one that is wrong."""
    zone_name = _text(given, "maintenance_timezone", "UTC")
    zone = parse_zone(zone_name, option="maintenance_timezone")
    reason, by = _override(given.get("maintenance_override"), environment)
    return Settings(
        reports=working_directory / os.path.expanduser(_text(given, "maintenance_reports_dir", "reports")),
        levels=merge_levels(given),
        calendar=Calendar(
            windows=parse_windows(given.get("maintenance_windows"), default_zone=zone_name),
            freezes=parse_freezes(given.get("maintenance_freezes"), default_zone=zone_name),
            holidays=parse_holidays(given.get("maintenance_holidays")),
            override_reason=reason,
            override_by=by,
        ),
        zone=zone,
        suppressions=parse_suppressions(given.get("maintenance_suppressions"), zone=zone),
        owners=parse_owners(given.get("maintenance_owners")),
        on_failure=_choice(given, "maintenance_on_failure", "error", ON_FAILURE),
        fail_on=_choice(given, "maintenance_fail_on", "critical", FAIL_ON),
        cadence=_choice(given, "maintenance_cadence", "", CADENCES),
        consumer=_consumer(given, environment),
        state_dir=_text(given, "maintenance_state_dir", "") or None,
        store_url=_store_url(given),
        contacts=_contacts(given.get("maintenance_contacts")),
        remind_hours=_hours(given, "maintenance_notify_remind_hours"),
    )


def merge_levels(given: Mapping[str, Any]) -> dict[str, Any]:
    """All ``maintenance_levels*`` merged in name order: a later variable's levels replace the earlier ones, one by one.

    Every key is held against the subjects, every value against the form of a level, so a typing error is told.
    """
    merged: dict[str, Any] = {}
    for name in sorted(name for name in given if name.startswith(LEVELS_PREFIX)):
        block = given[name]
        if block is None:
            continue
        if not isinstance(block, Mapping):
            raise OptionError(name, block, "a mapping of check ids to levels")
        for key, levels in block.items():
            subject, dot, rest = str(key).partition(".")
            bracket = rest.partition("[")[1]
            if subject not in SUBJECTS or not dot or not rest or (bracket and not rest.endswith("]")):
                raise OptionError(
                    f"{name}.{key}",
                    key,
                    f"a check id such as host.memory or host.memory[item]; subjects are {', '.join(SUBJECTS)}",
                )
            require_check(str(key).partition("[")[0], option=f"{name}.{key}")
            _require_levels(levels, option=f"{name}.{key}")
            merged[str(key)] = {**merged.get(str(key), {}), **levels}
    return merged


def _require_levels(levels: object, *, option: str) -> None:
    # Each by itself: whether they rise or fall is the check's to say, and its module holds them against it.
    pieces = [{level: limit} for level, limit in levels.items()] if isinstance(levels, Mapping) else [levels]
    for piece in pieces:
        override(Levels(), piece, option=option)


def _text(given: Mapping[str, Any], name: str, default: str) -> str:
    raw = given.get(name)
    if raw is None or raw == "":
        return default
    if not isinstance(raw, str) or "\0" in raw:
        raise OptionError(name, "(hidden)" if name in SECRETS else raw, "a text")
    return raw


def _store_url(given: Mapping[str, Any]) -> str:
    url = _text(given, "maintenance_store_url", "")
    if url and not re.match(r"[a-z0-9+]+://", url):
        # What it holds is a secret; the report, which alone needs the library that knows, looks closer.
        raise OptionError("maintenance_store_url", "(hidden)", "a URL such as postgresql+psycopg://user@host/database")
    return url


def _choice(given: Mapping[str, Any], name: str, default: str, choices: tuple[str, ...]) -> str:
    raw = given.get(name)
    if raw is None:
        return default
    if raw not in choices:
        raise OptionError(name, raw, f"one of {', '.join(choice for choice in choices if choice)}")
    return str(raw)


def _hours(given: Mapping[str, Any], name: str) -> int:
    raw = given.get(name)
    if raw is None:
        return 0
    # Older cores template a number into a text.
    text = str(raw) if isinstance(raw, (int, str)) and not isinstance(raw, bool) else ""
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) > MOST_HOURS:
        raise OptionError(name, raw, f"a whole number of hours from 0 (never) to {MOST_HOURS}")
    return int(text)


def _override(raw: object, environment: Mapping[str, str]) -> tuple[str, str]:
    if raw is None:
        return "", ""
    expected = "a mapping with the reason, and by for who decided it, both texts"
    if not isinstance(raw, Mapping) or set(raw) - {"reason", "by"}:
        raise OptionError("maintenance_override", raw, expected)
    reason = raw.get("reason")
    by = raw.get("by", environment.get("USER") or "unknown")
    if not isinstance(reason, str) or not reason.strip() or not isinstance(by, str) or not by.strip():
        raise OptionError("maintenance_override", raw, expected)
    return clean(reason), clean(by, limit=80)


def _consumer(given: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    # An AWX job runs in a container with a name of its own each time, but it is one and the same consumer.
    name = _text(given, "maintenance_consumer", "awx" if environment.get("AWX_HOST") else socket.gethostname())
    return re.sub(r"[^A-Za-z0-9._@-]", "-", name)[:100].lstrip("._@-") or "controller"


def consumer_of(controller: str, host: str) -> str:
    """The name of a state on a host: the controller and the host, within what a file name can hold."""
    if re.fullmatch(r"[A-Za-z0-9._-]{1,60}", host) and len(controller) + len(host) < 100:
        return f"{controller}@{host}"
    return f"{controller[:60]}@{hashlib.sha256(host.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _contacts(raw: object) -> dict[str, list[str]]:
    if raw is None:
        return {}
    expected = "a mapping of owners to Apprise URLs"
    if not isinstance(raw, Mapping):
        raise OptionError("maintenance_contacts", type(raw).__name__, expected)
    contacts = {}
    for owner, urls in raw.items():
        listed = [urls] if isinstance(urls, str) else urls
        if not isinstance(listed, (list, tuple)) or not all(isinstance(url, str) and "://" in url for url in listed):
            # The value is a secret: the sentence names its owner only.
            raise OptionError(f"maintenance_contacts.{owner}", "(hidden)", "an Apprise URL or a list of them")
        contacts[str(owner)] = list(listed)
    return contacts
