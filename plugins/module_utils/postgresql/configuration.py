# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: what has changed since the last run, what waits for a restart, what the files say wrong or in vain."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    QueryError,
    Session,
    denied,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Settings,
    Snapshot,
    Topic,
    View,
)

CHECKS = (
    Check(
        "postgresql.restarted",
        "Restarted since the last run",
        "Whether the server was started anew since the last run that looked at its settings. After a crash the "
        "statistics are gone with it, and what is counted since the last run begins again.",
        "Where nobody meant it, read the server's log of that minute and host.oom_kills; docs/runbooks/postgresql.md "
        "goes on from there.",
        "pg_postmaster_start_time()",
        "",
        Levels(info=1),
    ),
    Check(
        "postgresql.settings_changed",
        "Settings that have changed since the last run",
        "Every setting of the server, and those given to single roles and databases, against those of the last run: "
        "what has changed, from what to what.",
        "See that somebody meant it, and write down why; ALTER SYSTEM RESET, ALTER ROLE ... RESET or the file before "
        "the change brings the old value back.",
        "pg_settings, pg_db_role_setting",
        "",
        Levels(info=1),
    ),
    Check(
        "postgresql.pending_restart",
        "Settings that wait for a restart",
        "Settings whose new value stands in the files and is not in force before the server is restarted. The next "
        "restart, perhaps an unplanned one, brings a server that nobody has seen before.",
        "Restart the server in a window, or take the change back.",
        "pg_settings.pending_restart",
        "",
        Levels(warning=1),
    ),
    Check(
        "postgresql.settings_errors",
        "Errors in the configuration files",
        "Lines of postgresql.conf, the files that it includes, and pg_hba.conf that the server cannot use. A running "
        "server goes on with what it has; it may not start again.",
        "Mend the line that the evidence names and reload the server.",
        "pg_file_settings, pg_hba_file_rules",
        "",
        Levels(critical=1),
    ),
    Check(
        "postgresql.alter_system",
        "Lines of postgresql.conf that ALTER SYSTEM outdoes",
        "Settings of postgresql.conf that postgresql.auto.conf, which ALTER SYSTEM writes, gives another value. "
        "Whoever edits the former sees nothing happen.",
        "Keep each setting in one place: ALTER SYSTEM RESET ..., or take the line out of postgresql.conf.",
        "pg_file_settings",
        "",
        Levels(info=1),
    ),
    Check(
        "postgresql.unsafe_settings",
        "Settings that risk the data",
        "Settings that trade safety for speed, or that hide damage: fsync, full_page_writes, zero_damaged_pages, "
        "ignore_checksum_failure, ignore_invalid_pages, allow_system_table_mods, synchronous_commit, track_counts.",
        "Set them back to their defaults; those that hide damage are for the rescue of a damaged database alone.",
        "pg_settings",
    ),
)

_SETTINGS = """
SELECT name, coalesce(reset_val, '') AS value, coalesce(unit, '') AS unit, pending_restart AS pending
  FROM pg_settings
"""
_OVERRIDES = """
SELECT coalesce(d.datname::text, '') AS database, coalesce(r.rolname::text, '') AS role, s.setconfig AS settings
  FROM pg_db_role_setting s
       LEFT JOIN pg_database d ON d.oid = s.setdatabase
       LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE s.setconfig IS NOT NULL
"""
_FILES = """
SELECT coalesce(sourcefile, '') AS file, coalesce(sourceline, 0) AS line, coalesce(name, '') AS name,
       setting AS value, coalesce(error, '') AS error
  FROM pg_file_settings ORDER BY seqno
"""
_RULES = """
SELECT coalesce(to_jsonb(r) ->> 'file_name', 'pg_hba.conf') AS file, coalesce(line_number, 0) AS line, error
  FROM pg_hba_file_rules r WHERE error IS NOT NULL ORDER BY 1, 2
"""
#: What is the session's and the moment's, and no setting of the server.
_VOLATILE = frozenset(
    {
        "application_name",
        "client_encoding",
        "in_hot_standby",
        "is_superuser",
        "role",
        "seed",
        "session_authorization",
        "transaction_deferrable",
        "transaction_isolation",
        "transaction_read_only",
    }
)
_SECRET = re.compile(r"(?i)conninfo|passphrase|passw|secret|token|jwt|credential|(?<!ssl)_key(?!_file)")
#: A value that is longer is remembered by its fingerprint, which is enough to see that it has changed.
_LONGEST = 200
_AUTO = "postgresql.auto.conf"
_UNSAFE: Mapping[str, tuple[str, Status, str]] = {
    "fsync": ("off", "critical", "a crash of the machine can destroy every database"),
    "zero_damaged_pages": ("on", "critical", "a damaged page is emptied when it is read"),
    "ignore_checksum_failure": ("on", "critical", "a damaged page is used as if it were sound"),
    "ignore_invalid_pages": ("on", "critical", "recovery goes on past pages that it cannot mend"),
    "full_page_writes": ("off", "warning", "a crash can leave pages half written, unless the file system cannot"),
    "allow_system_table_mods": ("on", "warning", "a superuser can damage the catalogue by mistake"),
    "track_counts": ("off", "warning", "autovacuum does not know where it is needed"),
    "synchronous_commit": ("off", "info", "a crash loses what was committed last"),
}


@dataclass(frozen=True)
class Setting:
    """A setting with the value that a new session gets; ``pending`` where the files have another one for later."""

    name: str
    value: str
    unit: str
    pending: bool

    @property
    def words(self) -> str:
        return f"{self.value} x {self.unit}" if self.unit[:1].isdigit() else f"{self.value} {self.unit}".rstrip()


@dataclass(frozen=True)
class Line:
    """A line of the files in which settings are; ``value`` None where it is none."""

    file: str
    line: int
    name: str
    value: str | None
    error: str

    @property
    def place(self) -> str:
        return f"{self.file}, line {self.line}"


@dataclass(frozen=True)
class Configuration:
    """All settings, and those of single roles and databases by a name such as ``work_mem of role report``."""

    settings: tuple[Setting, ...]
    overrides: Mapping[str, str]

    def remembered(self, user: str) -> dict[str, Any]:
        """What the next run compares with: values that may be shown as they are, others by their fingerprint."""
        values = {one.name: _kept(one.name, one.words) for one in self.settings if one.name not in _VOLATILE}
        values.update({name: _kept(name, value) for name, value in self.overrides.items()})
        return {"user": user, "values": values}


@dataclass(frozen=True)
class Files:
    """Lines of the settings' files in the order in which they count, and rules of pg_hba.conf that are wrong."""

    lines: tuple[Line, ...]
    rules: tuple[str, ...]


def collect_configuration(session: Session, _server: Server, _settings: Settings) -> Configuration:
    overrides: dict[str, str] = {}
    for row in session.rows(_OVERRIDES):
        whose = " in ".join(
            [
                *([f"role {row['role']}"] if row["role"] else []),
                *([f"database {row['database']}"] if row["database"] else []),
            ]
        )
        for entry in row["settings"]:
            name, _equals, value = entry.partition("=")
            overrides[f"{name} of {whose or 'all roles'}"] = value
    return Configuration(tuple(Setting(**row) for row in session.many(_SETTINGS)), overrides)


def collect_files(session: Session, server: Server, _settings: Settings) -> Files:
    try:
        lines = tuple(Line(**row) for row in session.rows(_FILES))
        rules = tuple(f"{row['file']}, line {row['line']}: {row['error']}" for row in session.rows(_RULES))
    except QueryError as error:
        if not error.is_denied:
            raise
        raise denied(error, grant=files_grant(server, session.database)) from None
    return Files(lines, rules)


def files_grant(server: Server, database: str) -> str:
    """What lets this login see the configuration files, which no predefined role does."""
    user = server.user.replace('"', '""')
    return (
        f'In database {clean(database)}: GRANT SELECT ON pg_file_settings, pg_hba_file_rules TO "{user}"; '
        f'GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_hba_file_rules() TO "{user}"'
    )


def restarted(view: View) -> Iterator[Answer]:
    before, server = view.recall("settings"), view.cluster.server
    yield from view.measure(
        "postgresql.restarted",
        view.place,
        0 if before.same_start else 1,
        "restarted since the last run",
        note=f"it runs since {iso(server.started)}, the last run was {duration(before.seconds(view.cluster.now))} ago",
    )


def settings_changed(view: View) -> Iterator[Answer]:
    now = view.part("configuration").remembered(view.cluster.server.user)
    before = view.recall("settings")
    if before.data.get("user") != now["user"]:
        raise Absent("the last run looked as another login, the next one compares with this one")
    values = before.data.get("values")
    changes = list(differences(values if isinstance(values, dict) else {}, now["values"]))
    yield from view.measure(
        "postgresql.settings_changed",
        view.place,
        len(changes),
        "settings changed since the last run",
        note=f"{duration(before.seconds(view.cluster.now))} ago",
        evidence=changes,
    )


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """What is not as it was, a line each."""
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if old is None:
            yield f"{name}: new, {_shown(new)}"
        elif new is None:
            yield f"{name}: gone, was {_shown(old)}"
        elif old.startswith("#") or new.startswith("#"):
            yield f"{name}: changed, the value is not shown"
        else:
            yield f"{name}: {_shown(old)} -> {_shown(new)}"


def _kept(name: str, value: str) -> str:
    hidden = _SECRET.search(name) or len(value) > _LONGEST or clean(value) != value
    return "#" + hashlib.sha256(value.encode()).hexdigest()[:16] if hidden else f"={value}"


def _shown(kept: str | None) -> str:
    return (kept[1:] or "empty") if kept and kept.startswith("=") else "a value that is not shown"


def remember(snapshot: Snapshot) -> Mapping[str, Mapping[str, Any]]:
    configuration = snapshot.parts.get("configuration")
    if not isinstance(configuration, Configuration):
        return {}
    return {"settings": configuration.remembered(snapshot.server.user)}


def pending_restart(view: View) -> Iterator[Answer]:
    configuration: Configuration = view.part("configuration")
    pending = [one for one in configuration.settings if one.pending]
    files = view.cluster.parts.get("files")
    lines = {line.name: line for line in files.lines} if isinstance(files, Files) else {}
    yield from view.measure(
        "postgresql.pending_restart",
        view.place,
        len(pending),
        "settings that wait for a restart",
        evidence=[_waiting(one, lines.get(one.name)) for one in pending],
    )


def _waiting(setting: Setting, line: Line | None) -> str:
    if _SECRET.search(setting.name):
        return setting.name
    return f"{setting.name}: {setting.words}" + (f" -> {line.value} ({line.place})" if line else "")


def settings_errors(view: View) -> Iterator[Answer]:
    files: Files = view.part("files")
    configuration: Configuration = view.part("configuration")
    # A change that waits for a restart has an error too: that it could not be applied.
    waiting = {one.name for one in configuration.settings if one.pending}
    errors = [f"{line.place}: {line.name} {line.error}" for line in files.lines if _wrong(line, waiting)]
    yield from view.measure(
        "postgresql.settings_errors",
        view.place,
        len(errors) + len(files.rules),
        "errors in the configuration files",
        note=f"{counted(len(files.lines), 'setting')} in them",
        evidence=[*errors, *files.rules],
    )


def _wrong(line: Line, waiting: set[str]) -> bool:
    return bool(line.error) and line.name not in waiting


def alter_system(view: View) -> Iterator[Answer]:
    files: Files = view.part("files")
    own = {line.name: line for line in files.lines if line.file.endswith(f"/{_AUTO}")}
    outdone = list(overruled(files.lines, own))
    yield from view.measure(
        "postgresql.alter_system",
        view.place,
        len(outdone),
        "lines that ALTER SYSTEM outdoes",
        note=f"{counted(len(own), 'setting')} by ALTER SYSTEM",
        evidence=outdone,
    )


def overruled(lines: Sequence[Line], own: Mapping[str, Line]) -> Iterator[str]:
    """Lines of other files whose last word on a setting is not the one in force."""
    last = {line.name: line for line in lines if not line.file.endswith(f"/{_AUTO}")}
    for name, line in own.items():
        other = last.get(name)
        if other is not None and other.value != line.value:
            values = "" if _SECRET.search(name) else f" {line.value}, not {other.value}"
            yield f"{name}:{values} as in {other.place}"


def unsafe_settings(view: View) -> Iterator[Answer]:
    configuration: Configuration = view.part("configuration")
    worst: Status = "ok"
    said = []
    for setting in configuration.settings:
        bad, status, why = _UNSAFE.get(setting.name, ("", "ok", ""))
        if bad and setting.value == bad:
            worst = max(worst, status, key=lambda one: RANK[one])
            said.append(f"{setting.name} = {bad}: {why}")
    told = f"{counted(len(said), 'setting')} that may cost data: {'; '.join(said)}" if said else "none that risks data"
    yield view.state("postgresql.unsafe_settings", view.place, worst, told, evidence=said)


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.restarted": (restarted, ("configuration",)),
        "postgresql.settings_changed": (settings_changed, ("configuration",)),
        "postgresql.pending_restart": (pending_restart, ("configuration",)),
        "postgresql.settings_errors": (settings_errors, ("files", "configuration")),
        "postgresql.alter_system": (alter_system, ("files",)),
        "postgresql.unsafe_settings": (unsafe_settings, ("configuration",)),
    },
    cluster={"configuration": collect_configuration, "files": collect_files},
    remember=remember,
)
