# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether it is still the same cluster that answers here, and whether its clock agrees with this host's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, duration, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Settings,
    Snapshot,
    Topic,
    View,
)

CHECKS = (
    Check(
        "postgresql.cluster_id",
        "The same cluster as before",
        "Whether the cluster that answers here is the one of the last run, by the identifier that initdb gave it. "
        "Another one is what a wrong port, a wrong volume or an empty directory in a new container looks like. A new "
        "timeline of the same cluster, after a failover or a restore to a point in time, is told as a fact.",
        "Stop what writes to it, and see which data directory and which port the server was started with. Where the "
        "cluster was replaced on purpose, the next run takes the new one for granted.",
        "pg_control_system(), pg_control_checkpoint()",
    ),
    Check(
        "postgresql.clock_offset",
        "Clock of the server",
        "How far the server's clock is from that of the host that asks, apart from what the way there may account for. "
        "Ages, times of commits and log lines are by the server's clock.",
        "See that both hosts keep their time (host.time_offset, chronyc tracking).",
        "clock_timestamp()",
        "s",
        Levels(warning=2, critical=5),
    ),
)

_IDENTITY = """
SELECT s.system_identifier::text AS cluster, c.timeline_id AS timeline
  FROM pg_control_system() s, pg_control_checkpoint() c
"""
_TIME = "SELECT extract(epoch FROM clock_timestamp())::float8 AS seconds"


@dataclass(frozen=True)
class Identity:
    """The number that initdb gave the cluster, and the timeline of its last checkpoint."""

    cluster: str
    timeline: int


@dataclass(frozen=True)
class Offset:
    """Seconds that the server's clock is ahead of ours; ``doubt``: by so much the way may have falsified that."""

    seconds: float
    doubt: float


def collect_identity(session: Session, _server: Server, _settings: Settings) -> Identity:
    return Identity(**session.row(_IDENTITY))


def collect_offset(session: Session, _server: Server, _settings: Settings, clock: Clock | None = None) -> Offset:
    clock = clock or Clock()
    before, started = clock.now().timestamp(), clock.monotonic()
    there = session.row(_TIME)["seconds"]
    doubt = (clock.monotonic() - started) / 2
    return Offset(there - before - doubt, doubt)


def cluster_id(view: View) -> Iterator[Answer]:
    check = "postgresql.cluster_id"
    identity: Identity = view.part("identity")
    recalled = view.recall("identity")
    cluster, timeline = recalled.data.get("cluster"), recalled.data.get("timeline")
    since = duration(recalled.seconds(view.cluster.now))
    if cluster != identity.cluster:
        words = f"another cluster answers than at the last run, {since} ago: {identity.cluster}, then {cluster}"
        yield view.state(check, view.place, "critical", clean(words))
    elif timeline != identity.timeline:
        words = (
            f"cluster {identity.cluster} is on timeline {identity.timeline}, at the last run, {since} ago, on "
            f"{timeline}: a standby took over, or a point in time was restored"
        )
        yield view.state(check, view.place, "info", clean(words))
    else:
        words = f"cluster {identity.cluster}, timeline {identity.timeline}, as at the last run"
        yield view.state(check, view.place, "ok", clean(words))


def clock_offset(view: View) -> Iterator[Answer]:
    offset: Offset = view.part("offset")
    way = "ahead" if offset.seconds > 0 else "behind"
    yield from view.measure(
        "postgresql.clock_offset",
        view.place,
        round(max(0.0, abs(offset.seconds) - offset.doubt), 3),
        "difference between the server's clock and this host's",
        note=f"{quantity(1000 * abs(offset.seconds), 'ms')} {way}, give or take {quantity(1000 * offset.doubt, 'ms')}",
    )


def remember(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    identity = snapshot.parts.get("identity")
    if not isinstance(identity, Identity):
        return {}
    return {"identity": {"cluster": identity.cluster, "timeline": identity.timeline}}


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.cluster_id": (cluster_id, ("identity",)),
        "postgresql.clock_offset": (clock_offset, ("offset",)),
    },
    cluster={"identity": collect_identity, "offset": collect_offset},
    remember=remember,
)
