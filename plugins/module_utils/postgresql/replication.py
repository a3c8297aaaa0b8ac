# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standbys as the primary sees them and as they see themselves, and that there is exactly one primary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import (
    clean,
    counted,
    duration,
    quantity,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    QueryError,
    Session,
    connect,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.io import grown_databases
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View

_GIB = 1024**3
_SEGMENT = 16 * 1024**2
_SHOWN = 20

CHECKS = (
    Check(
        "postgresql.replication_lag",
        "Standby behind in time",
        "How long ago what a standby has replayed last was written: on the primary for each standby that is connected, "
        "on a standby for itself. A standby that has replayed all that came is not behind, however quiet the primary.",
        "See what the standby is busy with or waits for: a long query there (max_standby_streaming_delay), its disk, "
        "the network.",
        "pg_stat_replication.replay_lag, pg_last_xact_replay_timestamp()",
        "s",
        Levels(warning=60, critical=600),
    ),
    Check(
        "postgresql.replication_lag_bytes",
        "Standby behind in bytes",
        "Write-ahead log that the primary has written and a standby has not replayed, for each that is connected.",
        "Where it is sent and not replayed the standby is too slow, where it is not sent the network is.",
        "pg_stat_replication.replay_lsn",
        "B",
        Levels(warning=_GIB, critical=10 * _GIB),
    ),
    Check(
        "postgresql.standby",
        "The standby receives and replays",
        "On a standby: whether it is connected to its primary, and replays what it gets.",
        "See the standby's log: a slot or a password that is gone, a segment that the primary has removed already. "
        "pg_wal_replay_resume() ends a pause.",
        "pg_stat_wal_receiver, pg_get_wal_replay_pause_state()",
    ),
    Check(
        "postgresql.recovery_conflicts",
        "Queries that replay has ended",
        "On a standby: how many queries were cancelled since the last run because they stood in the way of what the "
        "primary had removed.",
        "Raise max_standby_streaming_delay for a standby of reports, or set hot_standby_feedback and mind the bloat "
        "on the primary.",
        "pg_stat_database.conflicts",
        "",
        Levels(info=1, warning=100),
    ),
    Check(
        "postgresql.synchronous",
        "Synchronous standbys",
        "Whether as many standbys confirm a commit as synchronous_standby_names asks for. With fewer every commit "
        "waits, for ever.",
        "Bring the standby back, or take it out of synchronous_standby_names and reload: what waits goes on at once.",
        "pg_stat_replication.sync_state",
    ),
    Check(
        "postgresql.one_primary",
        "Exactly one primary",
        "Whether exactly one of this server and those named in replicas is a primary, and all are of one cluster. Two "
        "primaries both take writes, and one half of them will be lost.",
        "Fence the wrong one at once (stop it, or block its port), then pg_rewind it and let it follow.",
        "pg_is_in_recovery(), pg_control_system()",
    ),
)

_STANDBYS = """
SELECT pid, application_name AS application, coalesce(host(client_addr), 'socket') AS address,
       coalesce(state, '') AS state, coalesce(sync_state, '') AS sync,
       -- One that only stores the WAL, such as pg_receivewal, replays nothing.
       extract(epoch FROM coalesce(replay_lag, flush_lag))::float8 AS seconds,
       pg_wal_lsn_diff(position, sent_lsn)::float8 AS unsent,
       pg_wal_lsn_diff(position, coalesce(replay_lsn, flush_lsn))::float8 AS bytes
  FROM pg_stat_replication r,
       LATERAL (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()
                            ELSE pg_current_wal_lsn() END AS position) p
"""
_SYNCHRONOUS = "SELECT current_setting('synchronous_standby_names') AS names"
_STANDBY = """
SELECT (SELECT status FROM pg_stat_wal_receiver) AS receiver,
       pg_is_wal_replay_paused() AS paused,
       coalesce(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0)::float8 AS bytes,
       extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS age,
       -- The address of the primary comes with its password; whether there is one is enough.
       (SELECT setting <> '' FROM pg_settings WHERE name = 'primary_conninfo') AS streams
"""
_IDENTITY = "SELECT pg_is_in_recovery() AS in_recovery, system_identifier::text AS identity FROM pg_control_system()"
#: ``FIRST 2 (a, b)``, ``ANY 1 (a)``, ``2 (a, b)`` and plain names, which ask for one.
_WANTED = re.compile(r"\s*(?:(?:first|any)\s+)?(\d+)\s*\(", re.IGNORECASE)


@dataclass(frozen=True)
class Standby:
    """A row of pg_stat_replication; ``seconds`` and ``bytes`` it is behind, None where it does not say.

    ``unsent`` bytes have not even left.
    """

    pid: int
    application: str
    address: str
    state: str
    sync: str
    seconds: float | None
    unsent: float | None
    bytes: float | None

    @property
    def name(self) -> str:
        return clean(f"{self.application or 'unnamed'}@{self.address}")

    @property
    def copies(self) -> bool:
        """Whether it takes a base backup, which ends by itself, and follows nothing."""
        return self.state == "backup"

    @property
    def words(self) -> str:
        behind = "unknown" if self.bytes is None else quantity(max(0.0, self.bytes), "B")
        unsent = "" if not self.unsent or self.unsent < 0 else f", {quantity(self.unsent, 'B')} not sent yet"
        return f"{self.name} (pid {self.pid}), {self.state}, {self.sync}: {behind} behind{unsent}"


@dataclass(frozen=True)
class Standbys:
    """Those that are connected, and synchronous_standby_names."""

    connected: tuple[Standby, ...]
    names: str


@dataclass(frozen=True)
class Recovery:
    """A standby of itself. ``receiver``: its state, None where none runs; ``age`` of the last commit it replayed."""

    receiver: str | None
    paused: bool
    bytes: float
    age: float | None
    streams: bool | None

    @property
    def behind(self) -> float | None:
        """Seconds it is behind; 0 where it is connected and has replayed all that came, None where nobody can tell."""
        if self.receiver == "streaming" and self.bytes <= 0:
            return 0.0
        return None if self.age is None else max(0.0, self.age)


@dataclass(frozen=True)
class Member:
    """This server or one of its replicas; ``trouble`` says why it could not be asked."""

    place: str
    in_recovery: bool = False
    identity: str = ""
    trouble: str = ""


def collect_standbys(session: Session, server: Server, _settings: Settings) -> Standbys:
    if not server.monitors:
        raise Absent("this login does not see how far standbys are", remedy=server.grant())
    connected = tuple(Standby(**row) for row in session.rows(_STANDBYS))
    return Standbys(connected, session.row(_SYNCHRONOUS)["names"])


def collect_recovery(session: Session, server: Server, _settings: Settings) -> Recovery:
    if not server.in_recovery:
        raise Absent("this server is a primary")
    if not server.monitors:
        raise Absent("this login does not see the WAL receiver", remedy=server.grant())
    return Recovery(**session.row(_STANDBY))


def collect_members(session: Session, server: Server, settings: Settings) -> tuple[Member, ...]:
    """This server and the replicas; one that is down is one that could not be asked."""
    if not settings.replicas:
        raise Absent("no other server of this cluster is named", remedy="Name its other servers in replicas.")
    members = [Member(server.place, **session.row(_IDENTITY))]
    for login in settings.replicas:
        try:
            with connect(login, read_only=True) as other:
                members.append(Member(login.place, **other.row(_IDENTITY)))
        except (ConnectError, QueryError) as error:
            members.append(Member(login.place, trouble=error.message))
    return tuple(members)


def replication_lag(view: View) -> Iterator[Answer]:
    check = "postgresql.replication_lag"
    if view.cluster.server.in_recovery:
        recovery: Recovery = view.part("recovery")
        if recovery.behind is None:
            raise Absent("this standby has not replayed a commit since it started", status="unknown")
        note = f"{quantity(max(0.0, recovery.bytes), 'B')} received and not replayed"
        yield from view.measure(check, view.place, recovery.behind, "behind its primary", note=note)
        return
    for standby in _followers(view):
        # The lag is NULL once the standby has caught up, and the first that is written then does not change that.
        if standby.seconds is None and (standby.bytes is None or standby.bytes > _SEGMENT):
            words = f"{standby.name} does not say how far it is"
            yield view.state(check, _item(view, standby), "unknown", words, evidence=[standby.words])
            continue
        yield from view.measure(
            check,
            _item(view, standby),
            max(0.0, standby.seconds or 0.0) if standby.bytes else 0.0,
            f"{standby.name} behind",
            evidence=[standby.words],
        )


def replication_lag_bytes(view: View) -> Iterator[Answer]:
    for standby in _followers(view):
        if standby.bytes is not None:
            yield from view.measure(
                "postgresql.replication_lag_bytes",
                _item(view, standby),
                max(0.0, standby.bytes),
                f"{standby.name} behind",
                evidence=[standby.words],
            )


def _followers(view: View) -> list[Standby]:
    """The worst first, those of one name and address told apart by nothing that lasts: only the worst counts."""
    standbys: Standbys = view.part("standbys")
    followers: dict[str, Standby] = {}
    for standby in sorted(standbys.connected, key=lambda one: -(one.bytes or 0.0)):
        if not standby.copies:
            followers.setdefault(standby.name, standby)
    if not followers:
        raise Absent("no standby is connected to this server")
    return list(followers.values())[:_SHOWN]


def _item(view: View, standby: Standby) -> str:
    return f"{view.place} {standby.name}"


def standby(view: View) -> Iterator[Answer]:
    check = "postgresql.standby"
    recovery: Recovery = view.part("recovery")
    if recovery.receiver is None and recovery.streams is False:
        words = "this standby has no primary_conninfo: it replays an archive, and receives nothing"
        if recovery.paused:
            yield view.state(check, view.place, "warning", f"{words}; replay is paused")
        else:
            yield view.state(check, view.place, "ok", words)
    elif recovery.receiver != "streaming":
        state = f"in state {recovery.receiver}" if recovery.receiver else "not running"
        behind = "" if recovery.age is None else f"; the last commit replayed is {duration(recovery.age)} old"
        yield view.state(check, view.place, "critical", f"the WAL receiver is {state}{behind}")
    elif recovery.paused:
        yield view.state(check, view.place, "warning", "this standby receives, but replay is paused")
    else:
        yield view.state(check, view.place, "ok", "this standby receives and replays")


def recovery_conflicts(view: View) -> Iterator[Answer]:
    if not view.cluster.server.in_recovery:
        raise Absent("this server is a primary")
    ended = {name: round(grown["conflicts"]) for name, grown in grown_databases(view).items() if grown["conflicts"]}
    yield from view.measure(
        "postgresql.recovery_conflicts",
        view.place,
        sum(ended.values()),
        "queries that replay has ended since the last run",
        evidence=[clean(f"{name}: {amount}") for name, amount in sorted(ended.items(), key=lambda entry: -entry[1])],
    )


def synchronous(view: View) -> Iterator[Answer]:
    if view.cluster.server.in_recovery:
        raise Absent("this server is a standby, where nobody commits: the setting waits for its promotion")
    standbys: Standbys = view.part("standbys")
    wanted = synchronous_wanted(standbys.names)
    if not wanted:
        raise Absent("synchronous_standby_names is empty: no commit waits for a standby")
    confirming = [one for one in standbys.connected if one.sync in ("sync", "quorum") and one.state == "streaming"]
    words = f"{counted(len(confirming), 'standby', 'standbys')} can confirm commits, {wanted} wanted"
    yield view.state(
        "postgresql.synchronous",
        view.place,
        "ok" if len(confirming) >= wanted else "critical",
        words,
        evidence=[one.words for one in standbys.connected[:_SHOWN]],
    )
    yield Metric("postgresql.synchronous", view.place, len(confirming))


def synchronous_wanted(names: str) -> int:
    """How many standbys synchronous_standby_names asks for (PostgreSQL manual, 20.6.2)."""
    if not names.strip():
        return 0
    found = _WANTED.match(names)
    return int(found[1]) if found else 1


def one_primary(view: View) -> Iterator[Answer]:
    check = "postgresql.one_primary"
    members: tuple[Member, ...] = view.part("members")
    asked = [member for member in members if not member.trouble]
    silent = [member for member in members if member.trouble]
    primaries = [member.place for member in asked if not member.in_recovery]
    strangers = [member.place for member in asked if member.identity != members[0].identity]
    evidence = [_member_words(member) for member in members]
    if strangers:
        words = f"{', '.join(strangers)} is of another cluster than {members[0].place}"
        yield view.state(check, view.place, "critical", words, evidence=evidence, remedy=_STRANGER)
    elif len(primaries) > 1:
        words = f"{len(primaries)} primaries: {', '.join(primaries)}"
        yield view.state(check, view.place, "critical", words, evidence=evidence)
    elif silent:
        words = f"{counted(len(silent), 'server')} of {len(members)} could not be asked"
        remedy = "See that each server in replicas runs and lets this login in."
        yield view.state(check, view.place, "unknown", words, evidence=evidence, remedy=remedy)
    elif not primaries:
        words = f"none of {counted(len(members), 'server')} is a primary"
        yield view.state(check, view.place, "critical", words, evidence=evidence, remedy="Promote one of them.")
    else:
        words = f"{primaries[0]} is the one primary of {counted(len(members), 'server')}"
        yield view.state(check, view.place, "ok", words, evidence=evidence)


_STRANGER = "Take it out of replicas, or make it anew from a base backup of the primary."


def _member_words(member: Member) -> str:
    if member.trouble:
        return f"{member.place}: {member.trouble}"
    return f"{member.place}: {'standby' if member.in_recovery else 'primary'}, cluster {member.identity}"


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.replication_lag": (replication_lag, ("standbys", "recovery")),
        "postgresql.replication_lag_bytes": (replication_lag_bytes, ("standbys",)),
        "postgresql.standby": (standby, ("recovery",)),
        "postgresql.recovery_conflicts": (recovery_conflicts, ("database_counters",)),
        "postgresql.synchronous": (synchronous, ("standbys",)),
        "postgresql.one_primary": (one_primary, ("members",)),
    },
    cluster={"standbys": collect_standbys, "recovery": collect_recovery, "members": collect_members},
)
