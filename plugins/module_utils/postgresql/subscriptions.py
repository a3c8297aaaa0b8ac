# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subscriptions of logical replication: whether their workers run, and what went wrong since the last run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import (
    Counters,
    Grown,
    grown_by_name,
    plain_by_name,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Settings,
    Snapshot,
    Topic,
    View,
)

_SHOWN = 20

CHECKS = (
    Check(
        "postgresql.subscriptions",
        "Subscriptions are applied",
        "Whether each subscription that is enabled has a worker that applies what comes, and whether one had errors "
        "since the last run. While it stands still, its slot keeps the WAL of the publisher.",
        "The server's log names the row and the constraint; remove what conflicts, or skip the transaction with ALTER "
        "SUBSCRIPTION ... SKIP. ALTER SUBSCRIPTION ... ENABLE starts one that is disabled.",
        "pg_subscription, pg_stat_subscription, pg_stat_subscription_stats",
    ),
)

_SUBSCRIPTIONS = """
SELECT s.oid::text AS oid, s.subname::text AS name, d.datname::text AS database, s.subenabled AS enabled,
       EXISTS (SELECT FROM pg_stat_subscription w
                WHERE w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL) AS running
  FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
"""
_ERRORS = "SELECT subid::text AS oid, apply_error_count, sync_error_count, stats_reset FROM pg_stat_subscription_stats"


@dataclass(frozen=True)
class Subscription:
    """One subscription; ``running``: its apply worker is there."""

    oid: str
    name: str
    database: str
    enabled: bool
    running: bool


@dataclass(frozen=True)
class Subscriptions:
    """All of them, and how often applying or copying failed, by oid; no entry where the server does not count."""

    all: tuple[Subscription, ...]
    errors: dict[str, Counters]


def collect_subscriptions(session: Session, server: Server, settings: Settings) -> Subscriptions:
    found = tuple(Subscription(**row) for row in session.rows(_SUBSCRIPTIONS))
    kept = tuple(
        one for one in found if not any(fnmatchcase(one.database, glob) for glob in settings.databases_exclude)
    )
    rows = session.rows(_ERRORS) if kept and server.has("pg_stat_subscription_stats") else []
    errors = {
        row["oid"]: Counters({"apply": row["apply_error_count"], "copy": row["sync_error_count"]}, row["stats_reset"])
        for row in rows
    }
    return Subscriptions(kept, errors)


def subscriptions(view: View) -> Iterator[Answer]:
    check = "postgresql.subscriptions"
    found: Subscriptions = view.part("subscriptions")
    if not found.all:
        raise Absent("there is no subscription")
    errors = _errors(view, found)
    bad = 0
    for one in sorted(found.all, key=lambda each: (each.running, not each.enabled, each.database, each.name)):
        grown = errors.get(one.oid)
        failed = grown["apply"] + grown["copy"] if grown else 0.0
        name, item = clean(one.name), view.item(one.database, one.name)
        if grown:
            yield Metric("postgresql.subscription_errors", item, failed)
        if one.enabled and one.running and not failed:
            continue
        bad += 1
        if bad > _SHOWN:
            continue
        errors_words = f"{failed:.0f} errors since the last run" if failed != 1 else "1 error since the last run"
        if one.enabled and not one.running:
            words = f"{name} is enabled and has no worker"
            yield view.state(check, item, "critical", f"{words}, {errors_words}" if failed else words)
        elif failed:
            words = f"{name} {'runs' if one.running else 'is disabled'}, {errors_words}"
            yield view.state(check, item, "warning", words)
        else:
            yield view.state(check, item, "info", f"{name} is disabled")
    if bad > _SHOWN:
        yield view.state(check, view.place, "critical", f"{bad - _SHOWN} more subscriptions do not run as they should")
    if not bad:
        yield view.state(check, view.place, "ok", f"{counted(len(found.all), 'subscription')}, each with its worker")


def _errors(view: View, found: Subscriptions) -> dict[str, Grown]:
    """What went wrong since the last run; nothing where this is the first, for the workers tell enough."""
    try:
        return grown_by_name(found.errors, view.recall("subscriptions"), now=view.cluster.now)
    except Absent:
        return {}


def remember(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    found = snapshot.parts.get("subscriptions")
    return {"subscriptions": plain_by_name(found.errors)} if isinstance(found, Subscriptions) else {}


TOPIC = Topic(
    checks=CHECKS,
    questions={"postgresql.subscriptions": (subscriptions, ("subscriptions",))},
    cluster={"subscriptions": collect_subscriptions},
    remember=remember,
)
