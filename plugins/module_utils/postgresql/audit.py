# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins: who may do everything, who is let in how, whose password ends, who comes without encryption."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    QueryError,
    Session,
    denied,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.configuration import files_grant
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View

CHECKS = (
    Check(
        "postgresql.superusers",
        "Logins that can do everything",
        "Logins that are superusers, or that can become one: as members of a superuser, or of a role that runs "
        "programs or reads and writes files on the server.",
        "Give the application a login of its own that owns its schema and nothing more, and REVOKE the rest; "
        "pg_monitor is enough to look.",
        "pg_roles",
        "",
        Levels(info=2, warning=4),
    ),
    Check(
        "postgresql.password_expiry",
        "Days until a password expires",
        "Days until the next login is shut out because of VALID UNTIL. Those that have expired already are told beside "
        "it and do not count.",
        "Set a new password in the program and with ALTER ROLE ... PASSWORD ... VALID UNTIL ...",
        "pg_roles.rolvaliduntil",
        "d",
        Levels(warning=14, critical=3, direction="lower"),
    ),
    Check(
        "postgresql.password_hashes",
        "Passwords kept as MD5",
        "Logins whose password is kept as MD5, which is quickly guessed and can be used as it stands by whoever steals "
        "it; newer versions of PostgreSQL drop it.",
        "Set password_encryption to scram-sha-256 and then the password anew; drivers since 2017 know it.",
        "pg_authid.rolpassword",
        "",
        Levels(warning=1),
    ),
    Check(
        "postgresql.access_rules",
        "Who is let in without proof",
        "Rules of pg_hba.conf that let somebody in by trust, by a password in clear text or by what his machine says. "
        "From other machines trust is critical.",
        "Write scram-sha-256 (or cert, peer on the local socket) in the line that the evidence names, and reload.",
        "pg_hba_file_rules",
    ),
    Check(
        "postgresql.connections_plain",
        "Sessions from other machines without encryption",
        "Sessions that came over the network without TLS or GSSAPI: statements and data can be read on the way.",
        "Set ssl = on and hostssl in pg_hba.conf, and sslmode=verify-full in the programs. In a network that nobody "
        "else is in, raise the level.",
        "pg_stat_ssl, pg_stat_gssapi",
        "",
        Levels(info=1),
    ),
)

_ROLES = """
SELECT r.rolname::text AS name, r.rolsuper AS superuser,
       ARRAY(SELECT p.rolname::text FROM pg_roles p
              WHERE p.oid <> r.oid AND NOT r.rolsuper AND pg_has_role(r.oid, p.oid, 'MEMBER')
                AND (p.rolsuper OR p.rolname IN
                     ('pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files'))
              ORDER BY 1) AS through,
       CASE WHEN isfinite(r.rolvaliduntil)
            THEN extract(epoch FROM r.rolvaliduntil - now())::float8 / 86400 END AS days
  FROM pg_roles r WHERE r.rolcanlogin ORDER BY r.rolname
"""
_HASHES = "SELECT rolname::text AS name FROM pg_authid WHERE rolpassword LIKE 'md5%' AND rolcanlogin ORDER BY rolname"
_RULES = """
SELECT coalesce(to_jsonb(r) ->> 'file_name', 'pg_hba.conf') AS file, coalesce(line_number, 0) AS line,
       type AS kind, database AS databases, user_name AS users,
       coalesce(address, '') AS address, coalesce(netmask, '') AS netmask, auth_method AS method,
       coalesce(options, '{}') AS options
  FROM pg_hba_file_rules r WHERE error IS NULL ORDER BY coalesce((to_jsonb(r) ->> 'rule_number')::int, line_number)
"""
_PLAIN = """
SELECT a.usename::text AS user_name, coalesce(a.datname::text, 'replication') AS database,
       host(a.client_addr) AS address, count(*)::int AS amount,
       (count(*) FILTER (WHERE NOT coalesce(s.ssl, false) AND NOT coalesce(g.encrypted, false)))::int AS plain
  FROM pg_stat_activity a
       LEFT JOIN pg_stat_ssl s ON s.pid = a.pid
       LEFT JOIN pg_stat_gssapi g ON g.pid = a.pid
 WHERE a.backend_type IN ('client backend', 'walsender') AND a.pid <> pg_backend_pid()
   AND a.client_addr IS NOT NULL AND NOT a.client_addr <<= '127.0.0.0/8' AND a.client_addr <> '::1'
 GROUP BY 1, 2, 3 ORDER BY 5 DESC, 1, 2, 3
"""


@dataclass(frozen=True)
class Role:
    """A login. ``through``: roles by which it can do everything; ``days`` until its password expires."""

    name: str
    superuser: bool
    through: tuple[str, ...]
    days: float | None


@dataclass(frozen=True)
class Rule:
    """A line of pg_hba.conf, or of a file that it includes."""

    file: str
    line: int
    kind: str
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str
    netmask: str
    method: str
    options: tuple[str, ...] = ()

    @property
    def is_inside(self) -> bool:
        """Whether it is about this machine alone."""
        return (
            self.kind == "local"
            or self.address == "samehost"
            or (self.address.startswith("127.") and self.netmask.startswith("255."))
            or (self.address == "::1" and self.netmask == "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
        )

    @property
    def words(self) -> str:
        mask = f"/{self.netmask}" if self.netmask else ""
        source = f" from {self.address}{mask}" if self.address else ""
        whom = f"{', '.join(self.users)} in {', '.join(self.databases)}"
        return f"{self.file}, line {self.line}: {self.kind} {self.method} for {whom}{source}"


@dataclass(frozen=True)
class Origin:
    """Sessions of a user in a database from another machine, ``plain`` of them without encryption."""

    user_name: str
    database: str
    address: str
    amount: int
    plain: int


def collect_roles(session: Session, _server: Server, _settings: Settings) -> tuple[Role, ...]:
    return tuple(Role(**{**row, "through": tuple(row["through"])}) for row in session.rows(_ROLES))


def collect_hashes(session: Session, _server: Server, _settings: Settings) -> tuple[str, ...]:
    try:
        return tuple(row["name"] for row in session.rows(_HASHES))
    except QueryError as error:
        if not error.is_denied:
            raise
        # Whoever may read the hashes can use them, so there is no right to recommend.
        raise Absent(
            "only a superuser sees how passwords are kept",
            remedy="Ask this once in a while as superuser, over the local socket.",
        ) from None


def collect_rules(session: Session, server: Server, _settings: Settings) -> tuple[Rule, ...]:
    try:
        found = session.rows(_RULES)
    except QueryError as error:
        if not error.is_denied:
            raise
        raise denied(error, grant=files_grant(server, session.database)) from None
    lists = ("databases", "users", "options")
    return tuple(Rule(**{**row, **{name: tuple(row[name] or ()) for name in lists}}) for row in found)


def collect_origins(session: Session, server: Server, _settings: Settings) -> tuple[Origin, ...]:
    if not server.monitors:
        raise Absent("this login does not see where others come from", remedy=server.grant())
    return tuple(Origin(**row) for row in session.rows(_PLAIN))


def superusers(view: View) -> Iterator[Answer]:
    roles: tuple[Role, ...] = view.part("roles")
    mighty = [role for role in roles if role.superuser or role.through]
    yield from view.measure(
        "postgresql.superusers",
        view.place,
        len(mighty),
        "logins that can do everything",
        note=f"of {counted(len(roles), 'login')}",
        evidence=[
            f"{role.name}: " + ("superuser" if role.superuser else f"through {', '.join(role.through)}")
            for role in mighty
        ],
    )


def password_expiry(view: View) -> Iterator[Answer]:
    roles: tuple[Role, ...] = view.part("roles")
    limited = sorted((role.days, role.name) for role in roles if role.days is not None)
    past = [name for days, name in limited if days < 0]
    coming = [(days, name) for days, name in limited if days >= 0]
    check, gone = "postgresql.password_expiry", f"; {len(past)} expired already" if past else ""
    evidence = [f"{name}: in {days:.1f} d" for days, name in coming] + [f"{name}: expired" for name in past]
    if not coming:
        yield view.state(check, view.place, "ok", f"no password is about to expire{gone}", evidence=evidence)
        return
    yield from view.measure(
        check,
        view.place,
        coming[0][0],
        "until the next password expires",
        note=f"{counted(len(coming), 'login')} with an end{gone}",
        evidence=evidence,
    )


def password_hashes(view: View) -> Iterator[Answer]:
    names: tuple[str, ...] = view.part("hashes")
    yield from view.measure(
        "postgresql.password_hashes", view.place, len(names), "passwords kept as MD5", evidence=names
    )


def access_rules(view: View) -> Iterator[Answer]:
    rules: tuple[Rule, ...] = view.part("rules")
    judged = [(weight(rule), rule) for rule in rules]
    loose = sorted((one for one in judged if one[0] != "ok"), key=lambda one: (-RANK[one[0]], one[1].line))
    yield view.state(
        "postgresql.access_rules",
        view.place,
        loose[0][0] if loose else "ok",
        f"{len(loose)} of {counted(len(rules), 'rule')} of pg_hba.conf let somebody in without proof"
        + (f": {loose[0][1].words}" if loose else ""),
        evidence=[rule.words for _status, rule in loose],
    )


def weight(rule: Rule) -> Status:
    """How bad a rule of pg_hba.conf is."""
    if any(option.startswith("clientcert=verify") for option in rule.options):
        return "ok"
    if rule.method == "trust":
        return "info" if rule.is_inside else "critical"
    if rule.is_inside:
        return "ok"
    if rule.method == "ident" or (rule.method == "password" and rule.kind != "hostssl"):
        return "warning"
    return "ok"


def connections_plain(view: View) -> Iterator[Answer]:
    origins: tuple[Origin, ...] = view.part("origins")
    yield from view.measure(
        "postgresql.connections_plain",
        view.place,
        sum(origin.plain for origin in origins),
        "sessions from other machines without encryption",
        note=f"of {sum(origin.amount for origin in origins)} from other machines",
        evidence=[
            f"{origin.user_name}@{origin.database} from {origin.address}: {origin.plain}"
            for origin in origins
            if origin.plain
        ],
    )


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.superusers": (superusers, ("roles",)),
        "postgresql.password_expiry": (password_expiry, ("roles",)),
        "postgresql.password_hashes": (password_hashes, ("hashes",)),
        "postgresql.access_rules": (access_rules, ("rules",)),
        "postgresql.connections_plain": (connections_plain, ("origins",)),
    },
    cluster={
        "roles": collect_roles,
        "hashes": collect_hashes,
        "rules": collect_rules,
        "origins": collect_origins,
    },
)
