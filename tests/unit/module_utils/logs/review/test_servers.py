# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a MySQL server logs at all, and which servers are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.login import ARGUMENTS as LOGIN
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.mysql_table import Facts
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review import options
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.servers import prove
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.severity import Level

NOW = 1_795_633_240_000_000
HEALTHY = Facts(
    server="uuid",
    destination="/var/log/mysql/error.log",
    services=("log_filter_internal", "log_sink_internal"),
    verbosity=2,
    suppressed="",
    now=NOW,
    started=NOW - 60_000_000,
    latest=NOW - 58_000_000,
)


@pytest.mark.parametrize(
    ("change", "least", "status", "words"),
    [
        ({}, "error", "ok", "logs to /var/log/mysql/error.log"),
        ({"services": ("log_filter_internal", "log_sink_json")}, "error", "ok", "newest entry"),
        ({"services": ("log_filter_internal", "log_sink_syseventlog")}, "error", "critical", "no error gets into"),
        ({"services": ()}, "error", "critical", "log_error_services is empty"),
        ({"latest": NOW - 90_000_000}, "error", "critical", "nothing was logged since the server started"),
        ({"latest": NOW - 61_000_000}, "error", "ok", "newest entry"),
        ({"latest": 0}, "error", "critical", "nothing was logged"),
        ({"services": ("log_filter_dragnet", "log_sink_internal"), "latest": 0}, "error", "info", "may drop errors"),
        ({"verbosity": 1}, "error", "ok", "no warning is logged"),
        ({"verbosity": 1}, "warning", "info", "no warning is logged"),
        ({"suppressed": "MY-010068"}, "error", "ok", "keeps some warnings out"),
        ({"destination": ""}, "error", "ok", "logs to nowhere"),
    ],
)
def test_whether_a_server_logs(change: dict[str, Any], least: Level, status: str, words: str) -> None:
    finding = prove("mysql db:3306", replace(HEALTHY, **change), least=least)
    assert (finding.check, finding.item, finding.status) == ("logs.alive", "mysql db:3306", status)
    assert words in finding.summary


def parse(*servers: dict[str, Any], **given: Any) -> options.Asked:
    defaults = {name: spec.get("default") for name, spec in options.ARGUMENTS.items()}
    login = {name: spec.get("default") for name, spec in LOGIN.items()}
    return options.parse({**defaults, "mysql": [{**login, **one} for one in servers], **given})


def test_a_server_alone_is_read_alone() -> None:
    asked = parse({"login_host": "db1"}, {"login_host": "db2", "login_port": 3307})
    assert [login.place for login in asked.mysql] == ["db1:3306", "db2:3307"]
    assert (asked.files, asked.journal) == ([], False)
    assert parse({"login_host": "db1"}, journal=True).journal is True


def test_a_server_is_named_once() -> None:
    with pytest.raises(OptionError, match=r"mysql\[1\].*another server than the entries before it"):
        parse({"login_host": "db1"}, {"login_host": "db1"})
