# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster as the questions see it, put together from parts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Settings,
    Snapshot,
    Topic,
    View,
    written_down,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
SERVER = Server(
    place="localhost:5432",
    version_number=170006,
    version="17.6",
    user="watcher",
    superuser=False,
    roles=frozenset({"pg_monitor", "pg_read_all_stats"}),
    in_recovery=False,
    started=NOW - timedelta(days=3),
    now=NOW,
)


def remembered(server: Server, **entries: Mapping[str, Any]) -> dict[str, Any]:
    """The memory that a run on this server, at its ``now``, left behind."""
    return {name: written_down(data, server) for name, data in entries.items()}


def ask(
    topic: Topic,
    check: str,
    *,
    parts: Mapping[str, Any] | None = None,
    databases: Mapping[str, Any] | None = None,
    server: Server = SERVER,
    settings: Settings | None = None,
    memory: Mapping[str, Any] | None = None,
    levels: Mapping[str, Any] | None = None,
) -> tuple[list[Finding], dict[tuple[str, str], float]]:
    """What one check of a topic says: its findings, and its metrics by name and item."""
    view = View(
        cluster=Snapshot(server=server, now=server.now, parts=parts or {}, databases=databases or {}),
        settings=settings or Settings(),
        memory=memory or {},
        catalogue=Catalogue("postgresql", topic.checks),
        book=LevelBook(levels),
    )
    findings, metrics = answer(view, topic.questions, {check}, item=view.place)
    return findings, {(metric.name, metric.item): metric.value for metric in _distinct(metrics)}


def _distinct(metrics: list[Metric]) -> list[Metric]:
    names = [(metric.name, metric.item) for metric in metrics]
    assert len(names) == len(set(names))
    return metrics
