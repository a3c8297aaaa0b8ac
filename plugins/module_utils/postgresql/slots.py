# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replication slots: what they hold, whether anybody uses them, and when they are about to break."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso, parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import (
    clean,
    counted,
    duration,
    quantity,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import (
    Counters,
    grown_by_name,
    plain_by_name,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Settings,
    Snapshot,
    Topic,
    View,
    recall,
)

_GIB = 1024**3
_MIB = 1024**2
_SHOWN = 20

CHECKS = (
    Check(
        "postgresql.slot_status",
        "Slots that still hold their WAL",
        "Whether the WAL that a slot needs is still there. One that is lost can never be used again; one that is "
        "unreserved loses it with the next checkpoint; one that is extended keeps more than max_wal_size.",
        "Connect who uses the slot, or drop it: SELECT pg_drop_replication_slot('name'). A standby of a lost slot has "
        "to be made anew.",
        "pg_replication_slots.wal_status",
    ),
    Check(
        "postgresql.slot_wal",
        "WAL that slots hold",
        "Write-ahead log that the slot which is furthest behind keeps in pg_wal. A forgotten slot fills the disk.",
        "Connect who uses the slot, or drop it: SELECT pg_drop_replication_slot('name'). max_slot_wal_keep_size sets "
        "a limit.",
        "pg_replication_slots.restart_lsn",
        "B",
        Levels(warning=5 * _GIB, critical=20 * _GIB),
    ),
    Check(
        "postgresql.slot_remaining",
        "WAL until a slot breaks",
        "How much more may be written before max_slot_wal_keep_size makes the first slot unusable.",
        "Connect who uses the slot, or raise max_slot_wal_keep_size as far as the disk allows.",
        "pg_replication_slots.safe_wal_size",
        "B",
        Levels(warning=512 * _MIB, critical=160 * _MIB, direction="lower"),
    ),
    Check(
        "postgresql.slot_inactive",
        "Slots that nobody uses",
        "How long the slot that has been without a client longest has been so. Where the server does not say (before "
        "PostgreSQL 17), since the first run that saw it.",
        "Connect who uses the slot, or drop it: SELECT pg_drop_replication_slot('name').",
        "pg_replication_slots.active, inactive_since",
        "s",
        Levels(warning=3600, critical=86400),
    ),
    Check(
        "postgresql.slot_spill",
        "Logical decoding that spills",
        "What logical decoding wrote to disk since the last run, because a transaction did not fit into "
        "logical_decoding_work_mem.",
        "Make transactions smaller, raise logical_decoding_work_mem, or let the subscription stream them.",
        "pg_stat_replication_slots.spill_bytes",
        "B",
        Levels(info=_GIB, warning=10 * _GIB),
    ),
)

_SLOTS = """
SELECT s.slot_name::text AS name, s.slot_type AS kind, coalesce(s.database::text, '') AS database, s.active,
       coalesce(s.wal_status, '') AS status, s.safe_wal_size::float8 AS remaining,
       pg_wal_lsn_diff(position, s.restart_lsn)::float8 AS bytes,
       -- Columns that not every server has are looked for in the row itself.
       (to_jsonb(s) ->> 'inactive_since')::timestamptz AS inactive_since,
       coalesce((to_jsonb(s) ->> 'synced')::bool, false) AS synced,
       coalesce(to_jsonb(s) ->> 'invalidation_reason', '') AS reason
  FROM pg_replication_slots s,
       LATERAL (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                            ELSE pg_current_wal_lsn() END AS position) p
 WHERE NOT s.temporary
"""
_SPILL = """
SELECT s.slot_name::text AS name, s.stats_reset AS reset, s.spill_bytes, s.spill_count
  FROM pg_stat_replication_slots s JOIN pg_replication_slots r ON r.slot_name = s.slot_name
 WHERE r.slot_type = 'logical'
"""
_STATUSES: Mapping[str, tuple[Any, str]] = {
    "lost": ("critical", "has lost its WAL and cannot be used again"),
    "unreserved": ("critical", "loses its WAL with the next checkpoint"),
    "extended": ("warning", "keeps more WAL than max_wal_size"),
}


@dataclass(frozen=True)
class Slot:
    """A row of pg_replication_slots. ``bytes`` of WAL it holds, None where it holds none."""

    name: str
    kind: str
    database: str
    active: bool
    status: str
    remaining: float | None
    bytes: float | None
    inactive_since: datetime | None
    synced: bool
    reason: str

    @property
    def words(self) -> str:
        held = "no WAL" if self.bytes is None else quantity(max(0.0, self.bytes), "B")
        place = f" of {self.database}" if self.database else ""
        reason = f", {self.reason}" if self.reason else ""
        used = "in use" if self.active else "nobody connected"
        return clean(f"{self.name}: {self.kind}{place}, {self.status or 'not used yet'}{reason}, {used}, holds {held}")


def collect_slots(session: Session, _server: Server, _settings: Settings) -> tuple[Slot, ...]:
    return tuple(Slot(**row) for row in session.rows(_SLOTS))


def collect_spill(session: Session, server: Server, _settings: Settings) -> dict[str, Counters]:
    if not server.has("pg_stat_replication_slots"):
        raise Absent("this server has no pg_stat_replication_slots", remedy="PostgreSQL 14 and newer have it.")
    return {
        row["name"]: Counters({"bytes": row["spill_bytes"], "count": row["spill_count"]}, row["reset"])
        for row in session.rows(_SPILL)
    }


def slot_status(view: View) -> Iterator[Answer]:
    check = "postgresql.slot_status"
    slots = _slots(view)
    broken = sorted((slot for slot in slots if slot.status in _STATUSES), key=lambda slot: slot.status, reverse=True)
    for slot in broken[:_SHOWN]:
        status, words = _STATUSES[slot.status]
        yield view.state(check, f"{view.place} {slot.name}", status, f"{slot.name} {words}", evidence=[slot.words])
    if len(broken) > _SHOWN:
        more = f"{len(broken) - _SHOWN} more slots are as bad"
        yield view.state(check, view.place, "critical", more)
    if not broken:
        yield view.state(check, view.place, "ok", f"{counted(len(slots), 'slot')}, each with the WAL that it needs")


def slot_wal(view: View) -> Iterator[Answer]:
    slots = sorted(_slots(view), key=lambda slot: -(slot.bytes or 0.0))
    yield from view.measure(
        "postgresql.slot_wal",
        view.place,
        max(0.0, slots[0].bytes or 0.0),
        "WAL that one slot holds",
        note=counted(len(slots), "slot"),
        evidence=[slot.words for slot in slots[:_SHOWN]],
    )


def slot_remaining(view: View) -> Iterator[Answer]:
    limited = sorted(
        ((slot.remaining, slot) for slot in _slots(view) if slot.remaining is not None), key=lambda entry: entry[0]
    )
    if not limited and any(slot.status == "lost" for slot in _slots(view)):
        raise Absent("of each slot that has not lost its WAL already, the server tells no limit")
    if not limited:
        raise Absent(
            "max_slot_wal_keep_size is -1: no slot breaks, and each may fill the disk",
            remedy="Set max_slot_wal_keep_size to what the disk can spare.",
        )
    yield from view.measure(
        "postgresql.slot_remaining",
        view.place,
        max(0.0, limited[0][0]),
        f"WAL until slot {limited[0][1].name} breaks",
        evidence=[f"{quantity(max(0.0, left), 'B')} left: {slot.words}" for left, slot in limited[:_SHOWN]],
    )


def slot_inactive(view: View) -> Iterator[Answer]:
    since = inactive_since(_slots(view), _first_seen(view.memory, view.cluster), now=view.cluster.now)
    ages = sorted(((view.cluster.now - at).total_seconds(), name) for name, at in since.items())
    words = {slot.name: slot.words for slot in _slots(view)}
    yield from view.measure(
        "postgresql.slot_inactive",
        view.place,
        max(0.0, ages[-1][0]) if ages else 0.0,
        "longest without a client",
        note=f"{counted(len(ages), 'slot')} that nobody uses",
        evidence=[f"{duration(max(0.0, age))}: {words[name]}" for age, name in reversed(ages[-_SHOWN:])],
    )


def inactive_since(
    slots: tuple[Slot, ...], first_seen: Mapping[str, datetime], *, now: datetime
) -> dict[str, datetime]:
    """Since when each slot without a client has had none, by the server's word or by what earlier runs saw.

    Slots that a standby keeps in step with its primary's (``synced``) never have a client; those that are lost are
    told by their status.
    """
    return {
        slot.name: slot.inactive_since or first_seen.get(slot.name, now)
        for slot in slots
        if not slot.active and not slot.synced and slot.status != "lost"
    }


def slot_spill(view: View) -> Iterator[Answer]:
    slots: dict[str, Counters] = view.part("slot_spill")
    if not slots:
        raise Absent("there is no logical replication slot")
    grown = grown_by_name(slots, view.recall("slot_spill"), now=view.cluster.now)
    if not grown:
        raise Absent("no logical slot was there in the last run, the next one compares")
    ranked = sorted(grown.items(), key=lambda entry: -entry[1]["bytes"])
    yield from view.measure(
        "postgresql.slot_spill",
        view.place,
        round(sum(spilled["bytes"] for _name, spilled in ranked)),
        "spilled by logical decoding since the last run",
        evidence=[
            clean(f"{name}: {quantity(spilled['bytes'], 'B')} in {spilled['count']:.0f} times")
            for name, spilled in ranked[:_SHOWN]
            if spilled["bytes"]
        ],
    )


def _slots(view: View) -> tuple[Slot, ...]:
    slots: tuple[Slot, ...] = view.part("slots")
    if not slots:
        raise Absent("there is no replication slot")
    return slots


def _first_seen(memory: Mapping[str, Any], snapshot: Snapshot) -> dict[str, datetime]:
    try:
        data = recall(memory, "slots_inactive", server=snapshot.server).data
        return {str(name): parse_time(str(at), option="state") for name, at in data.items()}
    except (Absent, OptionError):
        return {}


def carry(snapshot: Snapshot, memory: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    slots = snapshot.parts.get("slots")
    if not isinstance(slots, tuple):
        return {}
    since = inactive_since(slots, _first_seen(memory, snapshot), now=snapshot.now)
    return {"slots_inactive": {name: iso(at) for name, at in since.items()}}


def remember(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    spill = snapshot.parts.get("slot_spill")
    return {"slot_spill": plain_by_name(spill)} if isinstance(spill, dict) else {}


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.slot_status": (slot_status, ("slots",)),
        "postgresql.slot_wal": (slot_wal, ("slots",)),
        "postgresql.slot_remaining": (slot_remaining, ("slots",)),
        "postgresql.slot_inactive": (slot_inactive, ("slots",)),
        "postgresql.slot_spill": (slot_spill, ("slot_spill",)),
    },
    cluster={"slots": collect_slots, "slot_spill": collect_spill},
    remember=remember,
    carry=carry,
)
