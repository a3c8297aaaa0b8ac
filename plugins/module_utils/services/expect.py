# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user expects of units, processes and ports, checked before anything is looked at."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError, UnknownOption
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import Listener
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.processes import Process
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import unit_pattern

#: The kernel keeps this much of a process's name.
NAME_LENGTH = 15
_UNIT_KEYS = ("name", "state", "enabled", "memory_max")
_STATES = ("active", "inactive")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([KMGT])i?)?B?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_ALLOWED = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp))?")


@dataclass(frozen=True)
class UnitWanted:
    """A unit or a glob of units; ``enabled`` None where it does not matter, ``memory_max`` in bytes."""

    pattern: str
    state: str = "active"
    enabled: bool | None = None
    memory_max: int | None = None


@dataclass(frozen=True)
class ProcessWanted:
    """Processes by kernel name and by a pattern searched for in the command line; ``most`` None is no limit."""

    label: str
    name: str
    pattern: re.Pattern[str] | None
    user: str
    least: int
    most: int | None

    def fits(self, process: Process) -> bool:
        return (
            (not self.name or process.name == self.name[:NAME_LENGTH])
            and (self.pattern is None or self.pattern.search(process.line or process.name) is not None)
            and (not self.user or self.user in (process.user, str(process.uid)))
        )


@dataclass(frozen=True)
class PortWanted:
    """A port that is to be listened on (``address``: ``loopback``, ``any``, an IP address, or empty) or closed."""

    port: int
    protocol: str
    state: str
    address: str
    process: str

    @property
    def item(self) -> str:
        return f"{self.protocol}/{self.port}"

    def covers(self, listener: Listener) -> bool:
        return listener.port == self.port and listener.protocol == self.protocol


@dataclass(frozen=True)
class PortsAllowed:
    """A range of ports that may be reachable from outside; ``protocol`` empty is both."""

    first: int
    last: int
    protocol: str

    def covers(self, listener: Listener) -> bool:
        return self.first <= listener.port <= self.last and self.protocol in ("", listener.protocol)


@dataclass(frozen=True)
class Expected:
    """All that ``service_check`` was asked; ``allowed`` None where no list of allowed ports was given."""

    units: tuple[UnitWanted, ...] = ()
    processes: tuple[ProcessWanted, ...] = ()
    ports: tuple[PortWanted, ...] = ()
    allowed: tuple[PortsAllowed, ...] | None = None


def parse(params: Mapping[str, Any]) -> Expected:
    """The module's options as expectations. Raises OptionError."""
    allowed = params.get("ports_allowed")
    return Expected(
        units=tuple(_unit(raw, option=f"units[{at}]") for at, raw in enumerate(params.get("units") or [])),
        processes=_distinct(
            _process(raw, option=f"processes[{at}]") for at, raw in enumerate(params.get("processes") or [])
        ),
        ports=tuple(_port(raw, option=f"ports[{at}]") for at, raw in enumerate(params.get("ports") or [])),
        allowed=None if allowed is None else _allowed(allowed),
    )


def _unit(raw: object, *, option: str) -> UnitWanted:
    if isinstance(raw, str):
        return UnitWanted(unit_pattern(raw, option=option))
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str):
        raise OptionError(option, raw, "the name of a unit, or a mapping with at least a name")
    for key in raw:
        if key not in _UNIT_KEYS:
            raise UnknownOption(f"{option}.{key}", _UNIT_KEYS)
    state, enabled, memory = raw.get("state", "active"), raw.get("enabled"), raw.get("memory_max")
    if state not in _STATES:
        raise OptionError(f"{option}.state", state, "active or inactive")
    if enabled is not None and not isinstance(enabled, bool):
        raise OptionError(f"{option}.enabled", enabled, "true or false")
    return UnitWanted(
        pattern=unit_pattern(raw["name"], option=f"{option}.name"),
        state=state,
        enabled=enabled,
        memory_max=None if memory is None else size(memory, option=f"{option}.memory_max"),
    )


def size(raw: object, *, option: str) -> int:
    """A number of bytes such as ``536870912``, ``512M`` or ``1.5 GiB`` (powers of 1024). Raises OptionError."""
    match = _SIZE.fullmatch(str(raw).strip()) if not isinstance(raw, bool) else None
    amount = int(float(match[1]) * 1024 ** _POWERS[(match[2] or "").upper()]) if match else 0
    if amount <= 0:
        raise OptionError(option, raw, "a size such as 512M or 2G")
    return amount


def _process(raw: Mapping[str, Any], *, option: str) -> ProcessWanted:
    name, pattern = raw.get("name") or "", raw.get("pattern") or ""
    if not name and not pattern:
        raise OptionError(option, dict(raw), "a mapping with a name, a pattern, or both")
    least, most = 1 if raw.get("min") is None else raw["min"], raw.get("max")
    if least < 0:
        raise OptionError(f"{option}.min", least, "0 or more")
    if most is not None and most < least:
        raise OptionError(f"{option}.max", most, f"not below min, which is {least}")
    if least == 0 and most is None:
        raise OptionError(f"{option}.min", least, "1 or more where there is no max, or nothing would be asked")
    try:
        compiled = re.compile(pattern) if pattern else None
    except re.error as error:
        raise OptionError(f"{option}.pattern", pattern, f"a regular expression ({error})") from None
    return ProcessWanted(
        label=f"{name} {pattern}".strip(),
        name=name,
        pattern=compiled,
        user=str(raw.get("user") or ""),
        least=least,
        most=most,
    )


def _distinct(wanted: Iterable[ProcessWanted]) -> tuple[ProcessWanted, ...]:
    """Labels must tell findings apart: the second of a name gets a number."""
    seen: dict[str, int] = {}
    found = []
    for one in wanted:
        count = seen[one.label] = seen.get(one.label, 0) + 1
        found.append(one if count == 1 else replace(one, label=f"{one.label} ({count})"))
    return tuple(found)


def _port(raw: Mapping[str, Any], *, option: str) -> PortWanted:
    port, address = raw["port"], raw.get("address") or ""
    state, process = raw.get("state") or "listening", raw.get("process") or ""
    require_between(port, 1, 65535, option=f"{option}.port", expected="a port from 1 to 65535")
    if state == "closed" and (address or process):
        raise OptionError(option, dict(raw), "without address and process where state is closed")
    if address not in ("", "loopback", "any"):
        try:
            address = str(ipaddress.ip_address(address))
        except ValueError:
            raise OptionError(f"{option}.address", address, "loopback, any, or an IP address") from None
    return PortWanted(port=port, protocol=raw.get("protocol") or "tcp", state=state, address=address, process=process)


def _allowed(raw: Sequence[object]) -> tuple[PortsAllowed, ...]:
    ranges = []
    for at, entry in enumerate(raw):
        match = _ALLOWED.fullmatch(str(entry).strip())
        first = int(match[1]) if match else 0
        last = int(match[2]) if match and match[2] else first
        if match is None or not 1 <= first <= last <= 65535:
            raise OptionError(f"ports_allowed[{at}]", entry, "a port or a range such as 22, 53/udp or 8000-8010/tcp")
        ranges.append(PortsAllowed(first, last, match[3] or ""))
    return tuple(ranges)


def process_fits(wanted: str, names: Sequence[str]) -> bool:
    """Whether one of the owners of a socket is the process wanted (a kernel name or a glob)."""
    return any(fnmatchcase(name, wanted if "*" in wanted else wanted[:NAME_LENGTH]) for name in names)
