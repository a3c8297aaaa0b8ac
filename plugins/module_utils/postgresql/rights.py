# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights: what everybody may create, whose rights functions lend, and how the data lie on the disk."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session, as_ourselves
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View

CHECKS = (
    Check(
        "postgresql.public_create",
        "Where everybody may create objects",
        "Schemas and databases in which every login may create objects, as it was usual in schema public before "
        "PostgreSQL 15: a trap for whoever calls a function without its schema.",
        "REVOKE CREATE ON SCHEMA ... FROM PUBLIC, after giving it to those who need it.",
        "pg_namespace.nspacl, pg_database.datacl",
        "",
        Levels(warning=1),
    ),
    Check(
        "postgresql.security_definer",
        "Functions with another's rights and an open search path",
        "Functions that run with the rights of their owner (SECURITY DEFINER) and look for names where the caller "
        "says, who can put a function of his own in between. Extensions' functions do not count.",
        "ALTER FUNCTION ... SET search_path = pg_catalog, pg_temp (and the schemas that it needs, before pg_temp).",
        "pg_proc.prosecdef, pg_proc.proconfig",
        "",
        Levels(info=1, warning=10),
    ),
    Check(
        "postgresql.data_directory",
        "Rights of the data directory",
        "Whether the folder with the data belongs to the server's user and nobody else may enter it. The server looks "
        "when it starts, and never again.",
        "chmod 0700 (or 0750 where a group reads backups) and chown to the server's user.",
        "stat(2) of data_directory",
    ),
)

_CREATE = """
SELECT format('schema %I', n.nspname) AS name
  FROM pg_namespace n, LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
 WHERE a.grantee = 0 AND a.privilege_type = 'CREATE' AND n.nspname NOT LIKE 'pg\\_%'
 UNION ALL
SELECT 'the database itself'
  FROM pg_database d, LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
 WHERE d.datname = current_database() AND a.grantee = 0 AND a.privilege_type = 'CREATE'
"""
# A body that is written in SQL itself (PostgreSQL 14 and newer) was resolved when it was made.
_DEFINER = """
SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
       r.rolname::text AS owner, r.rolsuper AS superuser
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
 WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND NOT EXISTS (SELECT 1 FROM unnest(p.proconfig) AS one WHERE one LIKE 'search\\_path=%')
   AND NOT EXISTS (SELECT 1 FROM pg_depend d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
   AND to_jsonb(p) ->> 'prosqlbody' IS NULL
 ORDER BY r.rolsuper DESC, 1
"""
#: Read and enter for the group is what the server itself allows.
_FORBIDDEN = 0o027
#: The server's two notes of when it started are written one after the other.
_SAME_START = 60.0


@dataclass(frozen=True)
class Definer:
    name: str
    owner: str
    superuser: bool


@dataclass(frozen=True)
class Folder:
    """The data directory on this very machine: its rights, its owner, and the user that the server runs as."""

    path: str
    mode: int
    owner: int
    server: int


def collect_create(session: Session, _server: Server, _settings: Settings) -> tuple[str, ...]:
    return tuple(sorted(row["name"] for row in session.rows(_CREATE)))


def collect_definer(session: Session, _server: Server, _settings: Settings) -> tuple[Definer, ...]:
    return tuple(Definer(**row) for row in session.rows(_DEFINER))


def collect_folder(session: Session, server: Server, _settings: Settings) -> Folder:
    if not session.login.over_socket:
        raise Absent("the connection comes over the network", remedy="Ask on the server's own host, over its socket.")
    path = session.row("SELECT current_setting('data_directory') AS path")["path"]
    with as_ourselves():
        return _look_at_folder(path, server)


def _look_at_folder(path: str, server: Server) -> Folder:
    try:
        found = os.stat(path)
        with open(os.path.join(path, "postmaster.pid"), encoding="utf-8", errors="replace") as stream:
            note = stream.read(4096).splitlines()
        pid, started = int(note[0]), int(note[2])
        user = os.stat(f"/proc/{pid}").st_uid
    except PermissionError as error:
        raise Absent(f"{error.filename}: permission denied", remedy="Run the check with become.") from None
    except (OSError, ValueError, IndexError):
        raise Absent(f"the server of this socket does not have its data in {clean(path)} of this machine") from None
    # A server in a container has a path of its own, behind which there may be another server's data here.
    if abs(started - server.started.timestamp()) > _SAME_START:
        raise Absent(f"{clean(path)} of this machine belongs to another server")
    return Folder(path, found.st_mode & 0o7777, found.st_uid, user)


def public_create(view: View) -> Iterator[Answer]:
    check = "postgresql.public_create"
    found = [(database, name) for database, names in view.in_databases("public_create") for name in names]
    yield from view.measure(
        check,
        view.place,
        len(found),
        "places where everybody may create objects",
        evidence=[f"{database}: {name}" for database, name in found],
    )
    yield from view.absences(check, "public_create")


def security_definer(view: View) -> Iterator[Answer]:
    check = "postgresql.security_definer"
    found = [(database, one) for database, several in view.in_databases("definer") for one in several]
    found.sort(key=lambda entry: not entry[1].superuser)
    yield from view.measure(
        check,
        view.place,
        len(found),
        "functions with their owner's rights and an open search path",
        note=f"{sum(one.superuser for _database, one in found)} of a superuser",
        evidence=[
            f"{database}: {one.name} of {'superuser ' if one.superuser else ''}{one.owner}" for database, one in found
        ],
    )
    yield from view.absences(check, "definer")


def data_directory(view: View) -> Iterator[Answer]:
    folder: Folder = view.part("folder")
    wrong = []
    if folder.mode & _FORBIDDEN:
        wrong.append("others than its owner can change or enter it")
    if folder.owner != folder.server:
        wrong.append(f"the server runs as {_user(folder.server)}")
    yield view.state(
        "postgresql.data_directory",
        view.place,
        "critical" if wrong else "ok",
        f"{folder.path} has mode {folder.mode:04o} and belongs to {_user(folder.owner)}"
        + (f": {'; '.join(wrong)}" if wrong else ""),
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.public_create": (public_create, ("public_create",)),
        "postgresql.security_definer": (security_definer, ("definer",)),
        "postgresql.data_directory": (data_directory, ("folder",)),
    },
    cluster={"folder": collect_folder},
    database={"public_create": collect_create, "definer": collect_definer},
)
