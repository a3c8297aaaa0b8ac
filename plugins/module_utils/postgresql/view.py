# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the questions of this subject look at: one cluster at this moment, what the last run remembered, the levels.

A topic is a file of this package that brings everything about one side of a server: the rows of its checks, the
functions that answer them, the collectors of what they need, and what the next run has to know. ``topics.py`` lists
them; nothing else has to be touched for a new check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso, parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer, Words
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, Reading, given
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Login, Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """The module's own options. Sizes in bytes, times in seconds."""

    databases_exclude: tuple[str, ...] = ()
    queries_exclude: tuple[str, ...] = ()
    applications_exclude: tuple[str, ...] = ()
    replicas: tuple[Login, ...] = ()
    statistics_days: float = 30.0
    index_floor: int = 10 * 1024**2
    bloat_tables: int = 10
    bloat_size: int = 2 * 1024**3
    bloat_floor: int = 150 * 1024**2
    bloat_seconds: float = 20.0
    growth_floor: int = 100 * 1024**2
    statements_top: int = 20
    amcheck_size: int = 256 * 1024**2


@dataclass(frozen=True)
class Snapshot:
    """One cluster at the server's ``now``. ``parts`` are asked once, ``databases`` hold those asked in each database.

    A part that no chosen check needs is missing, one that cannot be had is Absent.
    """

    server: Server
    now: datetime
    parts: Mapping[str, Reading[Any]] = field(default_factory=dict)
    databases: Mapping[str, Mapping[str, Reading[Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Recalled:
    """What the last run wrote down: at what time of the server's clock, and whether the server has run ever since."""

    data: Mapping[str, Any]
    at: datetime
    same_start: bool

    def seconds(self, now: datetime) -> float:
        """How long ago that was; 0 where the clock has been set back since."""
        return max(0.0, (now - self.at).total_seconds())


@dataclass(frozen=True)
class View(Words):
    """All that a question needs, and the words it answers in."""

    cluster: Snapshot
    settings: Settings
    _outcomes: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, name: str, work: Callable[[], T]) -> T:
        """The outcome of work that several questions share; ``name`` says of what."""
        if name not in self._outcomes:
            self._outcomes[name] = work()
        outcome: T = self._outcomes[name]
        return outcome

    @property
    def place(self) -> str:
        """The cluster as the item of a finding: ``localhost:5432``."""
        return self.cluster.server.place

    def item(self, database: str, name: str = "") -> str:
        """A database, or something in it, as the item of a finding: ``localhost:5432/shop public.orders``."""
        return clean(f"{self.place}/{database} {name}".rstrip())

    def part(self, name: str) -> Any:
        """What a collector of the cluster brought. Raises the Absent that it left in its place."""
        return given(self.cluster.parts.get(name))

    def in_databases(self, name: str) -> Iterator[tuple[str, Any]]:
        """What a collector brought from each database where it could; raises Absent where it could in none."""
        absent: Absent | None = None
        found = False
        for database, parts in self.cluster.databases.items():
            reading = parts.get(name)
            if isinstance(reading, Absent):
                absent = absent or reading
            else:
                found = True
                yield database, given(reading)
        if not found:
            raise absent or Absent("there is no database that this login may connect to", remedy=self._connect_remedy())

    def absences(self, check: str, name: str) -> Iterator[Answer]:
        """A finding for each database where ``name`` could not be had although it could in another."""
        readings = {database: parts.get(name) for database, parts in self.cluster.databases.items()}
        if all(isinstance(reading, Absent) for reading in readings.values()):
            return
        for database, reading in readings.items():
            if isinstance(reading, Absent):
                yield self.state(check, self.item(database), reading.status, reading.message, remedy=reading.remedy)

    def recall(self, name: str) -> Recalled:
        """What the last run that looked at ``name`` wrote down of this cluster. Raises Absent when there was none."""
        return recall(self.memory, name, server=self.cluster.server)

    def _connect_remedy(self) -> str:
        return f'GRANT CONNECT ON DATABASE ... TO "{self.cluster.server.user}"'


def recall(memory: Mapping[str, Any], name: str, *, server: Server) -> Recalled:
    """An entry of the memory of one cluster. Raises Absent when there is none."""
    entry = memory.get(name)
    try:
        data, at = entry["data"], parse_time(entry["at"], option="state")  # type: ignore[index]
        same_start = entry["started"] == iso(server.started)  # type: ignore[index]
    except (TypeError, KeyError, AttributeError, OptionError):
        data = None
    if not isinstance(data, dict):
        raise Absent("this run is the first to look, the next one compares with it")
    return Recalled(data, at, same_start)


def written_down(data: Mapping[str, Any], server: Server) -> dict[str, Any]:
    """An entry for the memory of the next run."""
    return {"data": dict(data), "at": iso(server.now), "started": iso(server.started)}


Question = Callable[[View], Iterator[Answer]]
#: Brings one part, asked in any database or in each; raises Absent, QueryError, ConnectError.
Collector = Callable[[Session, Server, Settings], Any]
#: What the next run has to know: entries by name, each plain data.
Rememberer = Callable[[Snapshot], Mapping[str, Mapping[str, Any]]]
#: The same where it builds on what was remembered before: ``recall(memory, name, server=...)`` tells that.
Carrier = Callable[[Snapshot, Mapping[str, Any]], Mapping[str, Mapping[str, Any]]]


def _nothing(_snapshot: Snapshot) -> Mapping[str, Mapping[str, Any]]:
    return {}


def _nothing_new(_snapshot: Snapshot, _memory: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return {}


@dataclass(frozen=True)
class Topic:
    """One side of a server. ``questions``: check id to its function and the parts that it needs."""

    checks: tuple[Check, ...]
    questions: Mapping[str, tuple[Question, tuple[str, ...]]]
    cluster: Mapping[str, Collector] = field(default_factory=dict)
    database: Mapping[str, Collector] = field(default_factory=dict)
    remember: Rememberer = _nothing
    carry: Carrier = _nothing_new
