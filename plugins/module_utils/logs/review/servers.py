# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers whose log is read from a table of theirs: how each is opened, and whether it logs at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.login import Login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.mysql import MysqlTrail, follow_server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.mysql_table import (
    Facts,
    facts_of,
    worded,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.options import Asked
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.severity import Level

_CHECK = "logs.alive"
#: The sinks that feed MySQL's table of its error log (MySQL manual, "Error Log Configuration").
_FEEDING = ("log_sink_internal", "log_sink_json")
#: The server's time of its start is in whole seconds.
_SLACK = 2_000_000


def name_of(login: Login) -> str:
    """What a server is called in findings, and under what its mark is kept."""
    return f"mysql {login.place}"


def servers(
    asked: Asked, mark_of: Callable[[str], Any], proofs: list[Finding], *, first_rows: int | None
) -> Iterator[tuple[str, Callable[[], MysqlTrail]]]:
    """Each server's name with what opens its log; whether it logs at all joins ``proofs`` then."""

    def opened(login: Login) -> MysqlTrail:
        source = name_of(login)
        trail = follow_server(login, mark_of(source), first_rows=first_rows, budget=asked.budget)
        proofs.append(prove(source, trail.facts, least=asked.wanted.least))
        return trail

    for login in asked.mysql:
        yield name_of(login), partial(opened, login)


def prove_all(logins: Sequence[Login], *, least: Level) -> Iterator[Finding]:
    """Whether MySQL servers log at all, of each."""
    for login in logins:
        source = name_of(login)
        try:
            yield prove(source, facts_of(login), least=least)
        except MaintenanceError as error:
            status = error.status if isinstance(error, Absent) else "unknown"
            yield CATALOGUE.stated(_CHECK, source, status, error.message, remedy=error.remedy)


def prove(source: str, facts: Facts, *, least: Level) -> Finding:
    """Whether what a MySQL server logs gets into its table.

    No statement writes into its log, and none has to: at every start it writes that it started, whatever its
    verbosity, so an entry younger than its start has come the way that errors come.
    """
    services = clean("; ".join(facts.services)) or "empty"
    started = worded(facts.started)
    if not any(one in _FEEDING for one in facts.services):
        words = f"log_error_services is {services}, and without {' or '.join(_FEEDING)} no error gets into the table"
        return CATALOGUE.stated(_CHECK, source, "critical", words, remedy="Set log_error_services to its default.")
    filtered = "log_filter_dragnet" in facts.services
    if facts.latest < facts.started - _SLACK and not filtered:
        words = f"nothing was logged since the server started at {started}, and that it started should have been"
        return CATALOGUE.stated(_CHECK, source, "critical", words)
    newest = f"the newest entry is of {worded(facts.latest)}" if facts.latest else "there is no entry yet"
    words = f"{newest}, the server started at {started} and logs to {clean(facts.destination) or 'nowhere'}"
    status, remedy = "ok", ""
    if filtered:
        status, words = "info", f"{words}; log_filter_dragnet is in log_error_services, and its rules may drop errors"
    if facts.verbosity < 2:
        words = f"{words}; log_error_verbosity is {facts.verbosity}, so no warning is logged"
        if least == "warning":
            status, remedy = "info", "Set log_error_verbosity to 2 or more, where warnings are to be reviewed."
    if facts.suppressed:
        words = f"{words}; log_error_suppression_list keeps some warnings out"
    return CATALOGUE.stated(_CHECK, source, status, words, remedy=remedy)  # type: ignore[arg-type]
