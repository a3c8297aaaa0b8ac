# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``service_recover`` was asked to look after, checked before anything is looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.expect import ProcessWanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.probes import (
    CommandProbe,
    PortProbe,
    Probe,
    ProcessProbe,
    UnitProbe,
    UrlProbe,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import unit_name

#: Least and largest value of every figure, and what it is counted in.
LIMITS: Mapping[str, tuple[float, float, str]] = {
    "failures": (1, 20, "probes"),
    "interval_seconds": (0.1, 300, "seconds"),
    "timeout_seconds": (0.1, 120, "seconds"),
    "restarts_per_day": (0, 48, "restarts"),
    "cooldown_seconds": (0, 86400, "seconds"),
    "verify_seconds": (1, 1800, "seconds"),
    "verify_successes": (1, 20, "probes"),
}
EVIDENCE_LIMITS = (0, 500, "lines")
_STATUSES = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,252}|::[A-Za-z0-9.:]{0,40}")
_SOURCES = ("url", "port", "command", "process", "unit")


@dataclass(frozen=True)
class Target:
    """One unit to look after; figures in seconds and counts."""

    unit: str
    probe: Probe
    depends_on: tuple[Probe, ...]
    action: str
    failures: int
    interval: float
    timeout: float
    restarts_per_day: int
    cooldown: float
    verify_seconds: float
    verify_successes: int


def parse(params: Mapping[str, Any]) -> tuple[Target, ...]:
    """The option ``units`` as targets, what others depend on first. Raises OptionError."""
    for name, limits in LIMITS.items():
        _within(params[name], limits, option=name)
    _within(params["evidence_lines"], EVIDENCE_LIMITS, option="evidence_lines")
    names = [unit_name(raw["name"], option=f"units[{at}].name") for at, raw in enumerate(params["units"])]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise OptionError(f"units[{at}].name", name, "named only once")
    probes = {
        name: parse_probe(raw["probe"], option=f"units[{at}].probe")
        for at, (name, raw) in enumerate(zip(names, params["units"]))
    }
    targets = [
        _target(raw, name, probes, params, option=f"units[{at}]")
        for at, (name, raw) in enumerate(zip(names, params["units"]))
    ]
    return _sorted(targets)


def _target(
    raw: Mapping[str, Any], name: str, probes: Mapping[str, Probe], params: Mapping[str, Any], *, option: str
) -> Target:
    figures = {key: params[key] if raw.get(key) is None else raw[key] for key in LIMITS}
    for key, limits in LIMITS.items():
        _within(figures[key], limits, option=f"{option}.{key}")
    shortest = (figures["verify_successes"] - 1) * figures["interval_seconds"]
    if figures["verify_seconds"] < shortest:
        expected = f"at least {shortest:g}, which {figures['verify_successes']} probes take at their interval"
        raise OptionError(f"{option}.verify_seconds", figures["verify_seconds"], expected)
    dependencies = [
        parse_probe(entry, option=f"{option}.depends_on[{at}]") for at, entry in enumerate(raw.get("depends_on") or [])
    ]
    return Target(
        unit=name,
        probe=probes[name],
        # A unit that is looked after here is judged by its own probe.
        depends_on=tuple(probes.get(one.name, one) if isinstance(one, UnitProbe) else one for one in dependencies),
        action=raw.get("action") or "restart",
        failures=figures["failures"],
        interval=figures["interval_seconds"],
        timeout=figures["timeout_seconds"],
        restarts_per_day=figures["restarts_per_day"],
        cooldown=figures["cooldown_seconds"],
        verify_seconds=figures["verify_seconds"],
        verify_successes=figures["verify_successes"],
    )


def _within(value: float, limits: tuple[float, float, str], *, option: str) -> None:
    low, high, what = limits
    require_between(value, low, high, option=option, expected=f"a number of {what} from {low:g} to {high:g}")


def _sorted(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Targets in the order of their dependencies. Raises OptionError for a circle."""
    waiting, done = list(targets), list[Target]()
    while waiting:
        open_probes = [target.probe for target in waiting]
        ready = [target for target in waiting if not any(one in open_probes for one in target.depends_on)]
        if not ready:
            circle = ", ".join(target.unit for target in waiting)
            raise OptionError("units", circle, "units that do not depend on each other in a circle, nor on themselves")
        done += ready
        waiting = [target for target in waiting if target not in ready]
    return tuple(done)


def parse_probe(raw: Mapping[str, Any], *, option: str) -> Probe:
    """One probe from its mapping, which names exactly one of url, port, command, process and unit."""
    given = [key for key in _SOURCES if raw.get(key) is not None]
    if len(given) != 1:
        raise OptionError(option, ", ".join(given) or "empty", f"exactly one of {', '.join(_SOURCES)}")
    source = given[0]
    inner = f"{option}.{source}"
    if source == "url":
        return _url(raw, option=option)
    if source == "port":
        return _port(raw, option=option)
    if source == "command":
        argv = tuple(str(word) for word in raw["command"])
        if not argv or not argv[0]:
            raise OptionError(inner, raw["command"], "a list that starts with a program")
        return CommandProbe(argv)
    if source == "process":
        return ProcessProbe(_process(raw["process"], option=inner))
    return UnitProbe(unit_name(raw["unit"], option=inner))


def _url(raw: Mapping[str, Any], *, option: str) -> UrlProbe:
    url = raw["url"]
    expected = "an http or https address without a user name, such as http://127.0.0.1:5000/api/health"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable or not url.isascii() or any(sign <= " " or sign == "\x7f" for sign in url):
        raise OptionError(f"{option}.url", url.partition("?")[0], expected)
    return UrlProbe(
        url=url,
        statuses=_statuses(raw.get("statuses") or ["200-399"], option=f"{option}.statuses"),
        validate_certs=raw.get("validate_certs") is not False,
        ca_cert=raw.get("ca_cert"),
    )


def _statuses(raw: Sequence[object], *, option: str) -> tuple[tuple[int, int], ...]:
    ranges = []
    for entry in raw:
        match = _STATUSES.fullmatch(str(entry))
        low = int(match[1]) if match else 0
        high = int(match[2]) if match and match[2] else low
        if match is None or high < low:
            raise OptionError(option, entry, "HTTP statuses such as 200 or 200-399")
        ranges.append((low, high))
    return tuple(ranges)


def _port(raw: Mapping[str, Any], *, option: str) -> PortProbe:
    port, host = raw["port"], raw.get("host") or "127.0.0.1"
    require_between(port, 1, 65535, option=f"{option}.port", expected="a port from 1 to 65535")
    if not _HOST.fullmatch(host):
        raise OptionError(f"{option}.host", host, "a host name or an IP address")
    return PortProbe(host, port)


def _process(raw: str, *, option: str) -> ProcessWanted:
    try:
        pattern = re.compile(raw)
    except re.error as error:
        raise OptionError(option, raw, f"a regular expression ({error})") from None
    if not raw:
        raise OptionError(option, raw, "a regular expression for the command line")
    return ProcessWanted(label=raw, name="", pattern=pattern, user="", least=1, most=None)
