# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rewriting a table with pg_repack while others use it, within the budget; nothing of it stays when it breaks off."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Effect, NotNeeded, Unachieved
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    APPLICATION,
    Login,
    QueryError,
    Session,
    driver,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.online import in_the_way, worded
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.patience import connect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.repack import Remains, find_remains
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import Job

_FACTS = """
SELECT n.nspname::text AS schema, c.relname::text AS name, c.relfilenode::bigint AS file,
       pg_total_relation_size(c.oid) AS bytes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s
"""
_END = """
SELECT count(pg_terminate_backend(pid, 5000)) AS ended FROM pg_stat_activity
 WHERE application_name = %s AND pid <> pg_backend_pid() AND datname = current_database() AND usename = current_user
"""
# Limits that a role or a database sets for short work; those of ours are set from outside. A setting that a server
# does not know would keep the program from connecting.
_SETTINGS = """
SELECT coalesce(string_agg(format('-c %s=%s', name, wanted), ' '), '') AS options
  FROM (VALUES ('client_connection_check_interval', '2s'), ('transaction_timeout', '0'), ('idle_session_timeout', '0'),
               ('idle_in_transaction_session_timeout', '0'), ('statement_timeout', '0')) AS given (name, wanted)
  JOIN pg_settings USING (name)
"""
_VERSION = "SELECT repack.version() AS version"
#: Seconds that the program is given to tidy up after itself once it has been told to stop.
GRACE = 30
#: What timeout(1) ends with where the time was up.
_TIME_WAS_UP = 124


def repack(session: Session, job: Job, *, lock_timeout: float, seconds: float) -> Effect:
    """Rewrite the table of a job. Raises NotNeeded, Unachieved, MaintenanceError."""
    table = job.table.oid
    before = _facts(session, table)
    waiting = in_the_way(session, table=table, patience=lock_timeout)
    if waiting:
        raise NotNeeded(waiting)
    try:
        done = command.run(
            _argv(session.login, job.program, before, lock_timeout=lock_timeout, seconds=seconds),
            timeout=seconds + 2 * GRACE,
            env=_environment(session, table),
        )
    except BaseException as error:
        left = clear_up(session, table, lock_timeout=lock_timeout)
        if left and isinstance(error, MaintenanceError):
            raise MaintenanceError(f"{error.message} {left}") from error
        raise
    after = _facts(session, table)
    # The program counts a table that it has passed over as done.
    if done.rc or after["file"] == before["file"]:
        left = clear_up(session, table, lock_timeout=lock_timeout)
        said = "the time for it was up" if done.rc == _TIME_WAS_UP else _trouble(done)
        raise MaintenanceError(f"pg_repack did not do it: {said}. {left}".rstrip())
    if after["bytes"] >= before["bytes"]:
        sizes = f"{quantity(before['bytes'], 'B')} before, {quantity(after['bytes'], 'B')} after"
        raise Unachieved(f"the table was rewritten and won nothing back: {sizes}")
    return Effect(before={"bytes": before["bytes"]}, after={"bytes": after["bytes"]})


def clear(session: Session, job: Job, *, lock_timeout: float) -> Effect:
    """Remove what an earlier repack has left behind. Raises NotNeeded, MaintenanceError."""
    found = find_remains(session, table=job.table.oid)
    if not found:
        raise NotNeeded("nothing is left of it any more, or somebody repacks the table just now")
    left = clear_up(session, job.table.oid, lock_timeout=lock_timeout)
    if left:
        raise MaintenanceError(left)
    size = sum(one.bytes for one in found)
    return Effect(before={"bytes": size, "recording": any(one.recording for one in found)}, after={"bytes": 0})


def clear_up(session: Session, table: int, *, lock_timeout: float) -> str:
    """End the program's sessions and remove its trigger and tables; what to say of those that stay."""
    try:
        end(session, table)
        for remains in find_remains(session, table=table):
            _drop(session, remains, lock_timeout=lock_timeout)
    except MaintenanceError as error:
        return clean(f"What it left behind is to be removed by the next run: {error.message}")
    return ""


def end(session: Session, table: int) -> None:
    """End what the program does on the server for this table. Raises QueryError, ConnectError."""
    session.rows(_END, (_name(table),))


def end_from_outside(login: Login, *, database: str, table: int) -> None:
    """The same over a connection of its own, from another thread; who cannot connect has nothing to end."""
    try:
        with connect(login, database=database) as session:
            end(session, table)
    except MaintenanceError:
        return


def _drop(session: Session, remains: Remains, *, lock_timeout: float) -> None:
    """The trigger goes with the table that it writes to, or neither: without it every change would fail."""
    session.set(lock_timeout=lock_timeout)
    with session.connection.transaction():
        if remains.schema is not None and remains.name is not None and remains.recording:
            sql = driver().sql
            trigger = sql.SQL("DROP TRIGGER repack_trigger ON {}").format(sql.Identifier(remains.schema, remains.name))
            session.execute(trigger)
        for kind in ("log", "table"):
            session.execute(worded("DROP TABLE IF EXISTS {}", "repack", f"{kind}_{remains.oid}"))
        session.execute(worded("DROP TYPE IF EXISTS {}", "repack", f"pk_{remains.oid}"))


def _facts(session: Session, table: int) -> dict[str, Any]:
    try:
        rows = session.rows(_FACTS, (table,))
    except QueryError as error:
        if error.is_locked:
            raise NotNeeded("another session has locked it") from None
        raise
    if not rows:
        raise NotNeeded("it is there no more")
    return rows[0]


def _argv(
    login: Login, program: str, facts: Mapping[str, Any], *, lock_timeout: float, seconds: float
) -> Sequence[str]:
    """Told to stop it tidies up, as nothing else makes it do; so does whatever ends this module."""
    name = ".".join('"' + part.replace('"', '""') + '"' for part in (facts["schema"], facts["name"]))
    return [
        "setpriv", "--pdeathsig", "INT", *_as_whom(login),
        "timeout", "-s", "INT", "-k", str(GRACE), f"{max(1.0, seconds):.0f}",
        program, "--no-password", "--no-order", "--no-kill-backend",
        f"--wait-timeout={max(1, round(lock_timeout))}", f"--table={name}",
    ]  # fmt: skip


def _as_whom(login: Login) -> list[str]:
    """The user by whom the server knows us over its socket."""
    if os.geteuid() != 0 or not login.over_socket or login.user or not login.peer_user:
        return []
    user = pwd.getpwnam(login.peer_user)
    return [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]


def _environment(session: Session, table: int) -> dict[str, str]:
    """What libpq takes from there (PostgreSQL manual, 32.15), the password among it: everybody sees arguments."""
    login = session.login
    given = {
        "PGHOST": login.host,
        "PGPORT": str(login.port),
        "PGUSER": login.user,
        "PGPASSWORD": login.password,
        "PGDATABASE": _database(session.database, version=session.row(_VERSION)["version"]),
        "PGSSLMODE": login.ssl_mode,
        "PGSSLROOTCERT": login.ca_cert,
        "PGSSLCERT": login.ssl_cert,
        "PGSSLKEY": login.ssl_key,
        "PGCONNECT_TIMEOUT": str(login.connect_timeout),
        "PGAPPNAME": _name(table),
        "PGOPTIONS": session.row(_SETTINGS)["options"],
    }
    return {name: value for name, value in given.items() if value}


def _database(name: str, *, version: str) -> str:
    """The name as the program understands it: a part of a connection string until 1.5.1, and one by itself since."""
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    return f"dbname='{quoted}'" if numbers >= (1, 5, 1) else f"'{quoted}'"


def _name(table: int) -> str:
    return f"{APPLICATION} repack {table}"


def _trouble(done: command.Completed) -> str:
    """The first line that says what went wrong; the program tells each table that it begins with."""
    lines = [line for line in (*done.stderr.splitlines(), *done.stdout.splitlines()) if line.strip()]
    telling = [line for line in lines if not line.startswith(("INFO: repacking", "NOTICE"))]
    return clean((telling or lines or [f"exit status {done.rc} without a word"])[0]).rstrip(".")
