# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``postgresql_login``: a login that may look, and serve tables where the server can grant that, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import (
    Effect,
    Execution,
    Step,
    execute,
    kept,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import client
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    QueryError,
    Session,
    connect,
    driver,
    read_login,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.scram import matches, verifier
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server, look

CHECK = "postgresql.login"
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    **client.ARGUMENTS,
    "name": {"type": "str", "default": "maintenance"},
    "password": {"type": "str", "no_log": True},
    "maintain": {"type": "bool", "default": True},
}
_LOOKS, _SERVES = "pg_monitor", "pg_maintain"

_ROLE = """
SELECT r.rolcanlogin AS can_login,
       ARRAY(SELECT p.rolname::text FROM pg_roles p
              WHERE p.rolname = ANY(%(roles)s) AND pg_has_role(r.oid, p.oid, 'MEMBER')) AS held,
       has_table_privilege(r.oid, 'pg_catalog.pg_file_settings', 'SELECT')
       AND has_table_privilege(r.oid, 'pg_catalog.pg_hba_file_rules', 'SELECT')
       AND has_function_privilege(r.oid, 'pg_catalog.pg_show_all_file_settings()', 'EXECUTE')
       AND has_function_privilege(r.oid, 'pg_catalog.pg_hba_file_rules()', 'EXECUTE') AS sees_files
  FROM pg_roles r WHERE r.rolname = %(name)s
"""
_KNOWN = "SELECT rolname::text AS name FROM pg_roles WHERE rolname = ANY(%(roles)s)"
_KEPT = "SELECT coalesce(rolpassword, '') AS kept FROM pg_authid WHERE rolname = %s"


@dataclass(frozen=True)
class Found:
    """A login as it is. ``password`` is what the server keeps, None where it may not be seen."""

    there: bool = False
    can_login: bool = False
    held: frozenset[str] = frozenset()
    sees_files: bool = False
    password: str | None = None


@dataclass(frozen=True)
class Wanted:
    name: str
    password: str
    roles: tuple[str, ...]
    database: str


@dataclass(frozen=True)
class Change:
    """A step and the statements that carry it out; identifiers and the verifier are put in by the driver."""

    step: Step
    statements: tuple[Callable[[Any], Any], ...]


def login(context: Context) -> Result:
    """The whole repair."""
    way, params = read_login(context.params), context.params
    name, password = params["name"], params["password"] or ""
    if not name or name.startswith("pg_") or name == "public" or len(name.encode()) > 63:
        raise OptionError("name", name, "a name of a role of at most 63 bytes that does not begin with pg_")
    if not (password.isascii() and password.isprintable()):
        raise OptionError(
            "password", "***", "of printable ASCII characters, which every program writes in the same way"
        )
    try:
        with connect(way) as session:
            server = look(session)
            if server.in_recovery:
                return _untouched(way.place, "skipped", "a standby gets its logins from its primary")
            return _serve(context, session, server, name=name, password=password)
    except ConnectError as error:
        return _untouched(way.place, "critical", error.message, remedy=error.remedy)


def _untouched(place: str, status: Status, reason: str, *, remedy: str = "") -> Result:
    said = reason.rstrip(".")
    return Result(
        findings=[CATALOGUE.stated(CHECK, place, status, said, remedy=remedy)], plan=[], kept=[kept(place, said)]
    )


def _serve(context: Context, session: Session, server: Server, *, name: str, password: str) -> Result:
    asked = [_LOOKS, *([_SERVES] if context.params["maintain"] else [])]
    known = {row["name"] for row in session.rows(_KNOWN, {"roles": asked})}
    wanted = Wanted(name, password, tuple(role for role in asked if role in known), session.database)
    found = find(session, wanted)
    changes = decide(found, wanted)
    left = [
        kept(f"{role} to {name}", "this server has no such role; the owner of the tables has to serve them")
        for role in asked
        if role not in known
    ]
    if found.there and password and found.password is None:
        left.append(kept(f"password of {name}", "only a superuser sees whether it is the one that is wanted"))
    by_target = {change.step.target: change for change in changes}

    def act(step: Step) -> Effect:
        before = _shown(find(session, wanted))
        for statement in by_target[step.target].statements:
            session.execute(statement(driver().sql))
        return Effect(before, _shown(find(session, wanted)))

    plan = [change.step for change in changes]
    execution = None if context.check_mode else execute(plan, act, deadline=context.deadline)
    return Result(findings=[_finding(server.place, name, plan, execution)], plan=plan, execution=execution, kept=left)


def find(session: Session, wanted: Wanted) -> Found:
    """Look at the login. Raises QueryError, ConnectError."""
    rows = session.rows(_ROLE, {"name": wanted.name, "roles": list(wanted.roles)})
    if not rows:
        return Found()
    try:
        stored = session.row(_KEPT, (wanted.name,))["kept"]
    except QueryError as error:
        if not error.is_denied:
            raise
        stored = None
    (row,) = rows
    return Found(True, row["can_login"], frozenset(row["held"]), row["sees_files"], stored)


def decide(found: Found, wanted: Wanted) -> list[Change]:
    """What is missing, in the order in which it can be done."""
    name = wanted.name
    changes = []
    if not found.there:
        changes.append(_change("create", f"login {name}", "there is no such login", _create(wanted)))
    else:
        if not found.can_login:
            changes.append(
                _change("allow", f"login {name}", "it is a group and cannot log in", _alter(wanted, login=True))
            )
        if wanted.password and found.password is not None and not matches(wanted.password, found.password):
            reason = "it is another one, or kept in another way"
            # What it was is kept nowhere, so that there is no way back.
            changes.append(
                _change("set", f"password of {name}", reason, _alter(wanted, password=True), reversible=False)
            )
    changes.extend(
        _change("grant", f"{role} to {name}", "it is no member", _grant(role, name))
        for role in wanted.roles
        if role not in found.held
    )
    if not found.sees_files:
        target = f"configuration files to {name} in {wanted.database}"
        changes.append(_change("grant", target, "it does not see errors in them", *_grant_files(name)))
    return changes


def _change(
    action: str, target: str, reason: str, *statements: Callable[[Any], Any], reversible: bool = True
) -> Change:
    return Change(Step(action, target, reason, reversible=reversible), statements)


def _create(wanted: Wanted) -> Callable[[Any], Any]:
    def statement(sql: Any) -> Any:
        made = sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(wanted.name))
        return made + _password(sql, wanted) if wanted.password else made

    return statement


def _alter(wanted: Wanted, *, login: bool = False, password: bool = False) -> Callable[[Any], Any]:
    def statement(sql: Any) -> Any:
        altered = sql.SQL("ALTER ROLE {}").format(sql.Identifier(wanted.name))
        altered = altered + sql.SQL(" LOGIN") if login else altered
        return altered + _password(sql, wanted) if password else altered

    return statement


def _password(sql: Any, wanted: Wanted) -> Any:
    return sql.SQL(" PASSWORD {}").format(sql.Literal(verifier(wanted.password)))


def _grant(role: str, name: str) -> Callable[[Any], Any]:
    return lambda sql: sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(name))


def _grant_files(name: str) -> tuple[Callable[[Any], Any], ...]:
    return (
        lambda sql: sql.SQL("GRANT SELECT ON pg_catalog.pg_file_settings, pg_catalog.pg_hba_file_rules TO {}").format(
            sql.Identifier(name)
        ),
        lambda sql: sql.SQL(
            "GRANT EXECUTE ON FUNCTION pg_catalog.pg_show_all_file_settings(), pg_catalog.pg_hba_file_rules() TO {}"
        ).format(sql.Identifier(name)),
    )


def _shown(found: Found) -> dict[str, Any]:
    """What may be told of a login: whether it has a password and not which."""
    return {
        "there": found.there,
        "login": found.can_login,
        "roles": sorted(found.held),
        "files": found.sees_files,
        "password": {None: "not seen", "": "none"}.get(found.password, "set"),
    }


def _finding(place: str, name: str, plan: list[Step], execution: Execution | None) -> Finding:
    item, who = clean(f"{place} {name}"), clean(name)
    if not plan:
        return CATALOGUE.stated(CHECK, item, "ok", f"{who} may do what it is for")
    planned = [f"{step.action} {step.target}: {step.reason}" for step in plan]
    if execution is None:
        return CATALOGUE.stated(CHECK, item, "info", f"{who} lacks {len(plan)} of what it needs", evidence=planned)
    troubles = [f"{one['action']} {one['target']}: {one['error']}" for one in execution.failed]
    troubles += [f"{one['target']}: {one['reason']}" for one in execution.left]
    if troubles:
        return CATALOGUE.stated(CHECK, item, "warning", f"{who} could not be given all it needs", evidence=troubles)
    return CATALOGUE.stated(CHECK, item, "ok", f"{who} was given what it lacked", evidence=planned)
