# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of ``postgresql_check``: options, one look at the cluster, all questions, the memory for the next run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import (
    require_between,
    require_expressions,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import answer, parts_for
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import client
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Login, read_login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.collect import collect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.topics import QUESTIONS, remember
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, View

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    **client.ARGUMENTS,
    "databases_exclude": {"type": "list", "elements": "str", "default": []},
    "queries_exclude": {"type": "list", "elements": "str", "default": []},
    "applications_exclude": {"type": "list", "elements": "str", "default": []},
    "replicas": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "login_host": {"type": "str", "required": True},
            "login_port": {"type": "int"},
            "login_user": {"type": "str"},
            "login_password": {"type": "str", "no_log": True},
        },
    },
    "statistics_days": {"type": "float", "default": 30.0},
    "index_floor": {"type": "bytes", "default": "10M"},
    "amcheck_size": {"type": "bytes", "default": "256M"},
    "statements_top": {"type": "int", "default": 20},
    "bloat_floor": {"type": "bytes", "default": "150M"},
    "bloat_tables": {"type": "int", "default": 10},
    "bloat_size": {"type": "bytes", "default": "2G"},
    "bloat_seconds": {"type": "float", "default": 20.0},
    "growth_floor": {"type": "bytes", "default": "100M"},
}
#: Least and largest value of every figure, and what it should be in words.
_LIMITS: Mapping[str, tuple[float, float, str]] = {
    "statistics_days": (0, 3650, "days from 0 to 3650"),
    "index_floor": (0, 2**60, "a size such as 10M, or 0"),
    "amcheck_size": (0, 2**60, "a size such as 256M, or 0"),
    "statements_top": (1, 1000, "a number of statements from 1 to 1000"),
    "bloat_tables": (0, 1000, "a number from 0 to 1000"),
    "bloat_floor": (0, 2**60, "a size such as 150M, or 0"),
    "bloat_size": (0, 2**60, "a size such as 150M, or 0"),
    "growth_floor": (0, 2**60, "a size such as 150M, or 0"),
    "bloat_seconds": (0.1, 3600, "seconds from 0.1 to 3600"),
}
REACHABLE = "postgresql.reachable"


def check(context: Context) -> Result:
    """Look at the cluster and answer the chosen checks."""
    login, settings = read_login(context.params), read_settings(context.params)
    remembered = context.memory.get(login.place)
    memory: Mapping[str, Any] = remembered if isinstance(remembered, dict) else {}
    # What a repair says stands in the same catalogue.
    chosen = context.checks & set(QUESTIONS)
    try:
        snapshot = collect(parts_for(QUESTIONS, chosen), login=login, settings=settings)
    except ConnectError as error:
        return Result(findings=_unreached(context, login, error))
    view = View(cluster=snapshot, settings=settings, memory=memory, catalogue=context.catalogue, book=context.book)
    findings, metrics = answer(view, QUESTIONS, chosen, item=login.place)
    return Result(
        findings=findings,
        metrics=metrics,
        memory={**context.memory, login.place: {**memory, **remember(snapshot, memory)}},
    )


def _unreached(context: Context, login: Login, error: ConnectError) -> list[Finding]:
    """A cluster that lets nobody in is one alarm; all that could not be asked says why.

    A server that was merely found, for which nobody has given a login and which has never let us in, answers: that it
    does not know us is no fault of it.
    """
    stranger = error.unwelcome and not login.user and not login.password and login.place not in context.memory
    findings = []
    for name in context.catalogue:
        if name == REACHABLE:
            status: Status = "skipped" if stranger else "critical"
            findings.append(context.catalogue.stated(name, login.place, status, error.message, remedy=error.remedy))
        elif name in context.checks and name in QUESTIONS:
            findings.append(context.catalogue.skipped(name, login.place, "the cluster cannot be reached"))
    return findings


def read_settings(params: Mapping[str, Any]) -> Settings:
    """The module's own options, each refused in one sentence where it makes no sense. Raises OptionError."""
    for option in ("queries_exclude", "applications_exclude"):
        require_expressions(params[option], option=option)
    for option, (least, most, expected) in _LIMITS.items():
        require_between(params[option], least, most, option=option, expected=expected)
    return Settings(
        databases_exclude=tuple(params["databases_exclude"]),
        queries_exclude=tuple(params["queries_exclude"]),
        applications_exclude=tuple(params["applications_exclude"]),
        replicas=read_replicas(params),
        statistics_days=params["statistics_days"],
        index_floor=params["index_floor"],
        amcheck_size=params["amcheck_size"],
        statements_top=params["statements_top"],
        bloat_floor=params["bloat_floor"],
        bloat_tables=params["bloat_tables"],
        bloat_size=params["bloat_size"],
        bloat_seconds=params["bloat_seconds"],
        growth_floor=params["growth_floor"],
    )


def read_replicas(params: Mapping[str, Any]) -> tuple[Login, ...]:
    """The logins of the replicas, each like the module's own but for what it names itself. Raises OptionError."""
    logins = []
    for at, replica in enumerate(params["replicas"]):
        named = {name: value for name, value in replica.items() if value not in (None, "")}
        try:
            logins.append(read_login({**params, "login_unix_socket": None, **named}))
        except OptionError as error:
            raise OptionError(f"replicas[{at}].{error.option}", named.get(error.option), "that of a server") from None
    return tuple(logins)
