# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is asked when, over how many connections, and what becomes of a connection that is not to be had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import collect as subject
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import DatabaseName
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Snapshot
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import SERVER

SHOP = DatabaseName(1, "shop", open=True, template=False, allowed=True)
CLOSED = DatabaseName(2, "closed", open=True, template=False, allowed=False)
ASKED = ("activity", "ages", "tables", "index_facts")


class Cluster:
    """A server with ``room`` for so many connections at once and databases of so many ``relations``."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, relations: int = 100, refusals: tuple[str, ...] = ()
    ) -> None:
        self.events: list[str] = []
        self.relations = relations
        self.refusals = list(refusals)
        monkeypatch.setattr(subject, "connect", self.connect)
        monkeypatch.setattr(subject, "look", lambda _session: replace(SERVER, databases=(SHOP, CLOSED)))
        monkeypatch.setattr(subject, "CLUSTER", {name: self.collector(name) for name in ("ages", "activity")})
        monkeypatch.setattr(subject, "DATABASE", {name: self.collector(name) for name in ("tables", "index_facts")})

    @contextmanager
    def connect(self, _login: Any, *, database: str = "", read_only: bool = False) -> Iterator[Any]:
        assert read_only
        self.events.append(f"connect {database}".rstrip())
        if database and self.refusals:
            reason = self.refusals.pop()
            raise ConnectError(reason, crowded=reason == "crowded")
        yield self

    def row(self, _query: str) -> dict[str, int]:
        return {"amount": self.relations}

    def collector(self, name: str) -> Any:
        def collect(_session: Any, _server: Any, _settings: Any) -> str:
            self.events.append(name)
            return f"what {name} brings"

        return collect

    def look(self) -> Snapshot:
        return subject.collect(ASKED, login=None, settings=Settings())  # type: ignore[arg-type]


def test_sessions_are_looked_at_before_there_is_another_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    found = cluster.look()

    assert cluster.events[:2] == ["connect", "activity"]
    assert found.parts == {"activity": "what activity brings", "ages": "what ages brings"}
    assert found.databases["shop"] == {"tables": "what tables brings", "index_facts": "what index_facts brings"}


@pytest.mark.parametrize(("relations", "connections"), [(1999, 1), (2000, 2)])
def test_a_large_database_is_asked_over_two_connections(
    monkeypatch: pytest.MonkeyPatch, relations: int, connections: int
) -> None:
    cluster = Cluster(monkeypatch, relations=relations)
    found = cluster.look()

    assert cluster.events.count("connect shop") == connections
    assert found.databases["shop"] == {"tables": "what tables brings", "index_facts": "what index_facts brings"}


def test_where_there_is_no_room_it_is_asked_again_and_where_it_is_gone_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowded = Cluster(monkeypatch, refusals=("crowded",)).look().databases["shop"]
    lost = Cluster(monkeypatch, refusals=("gone",)).look().databases["shop"]
    full = Cluster(monkeypatch, refusals=("crowded", "crowded")).look().databases["shop"]

    assert crowded["tables"] == "what tables brings"
    for missed in (lost["tables"], full["index_facts"]):
        assert isinstance(missed, Absent)
        assert missed.status == "unknown"


def test_a_database_that_lets_nobody_in_says_what_to_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Cluster(monkeypatch).look().databases["closed"]["tables"]

    assert isinstance(closed, Absent)
    assert (closed.status, closed.remedy) == ("skipped", 'GRANT CONNECT ON DATABASE "closed" TO "watcher"')
