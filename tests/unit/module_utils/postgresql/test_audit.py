# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can do everything, whose password ends, and which rules of pg_hba.conf let somebody in without proof."""

from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.audit import (
    TOPIC,
    Origin,
    Role,
    Rule,
    weight,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import ask

POSTGRES = Role("postgres", True, (), None)
APP = Role("App", False, (), None)
V6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"


def rule(kind: str, method: str, address: str = "", netmask: str = "", options: tuple[str, ...] = ()) -> Rule:
    return Rule("pg_hba.conf", 7, kind, ("all",), ("all",), address, netmask, method, options)


def test_superusers_are_those_that_are_and_those_that_can_become_one() -> None:
    roles = (POSTGRES, APP, Role("ops", False, ("pg_execute_server_program", "postgres"), None))
    (finding,), _metrics = ask(TOPIC, "postgresql.superusers", parts={"roles": roles})

    assert (finding.status, finding.value) == ("info", 2)
    assert finding.evidence == ("postgres: superuser", "ops: through pg_execute_server_program, postgres")
    assert "of 3 logins" in finding.summary


def test_a_password_that_will_expire_counts_and_one_that_has_is_only_told() -> None:
    roles = (Role("old", False, (), -40.0), Role("next", False, (), 9.5), Role("later", False, (), 300.0), APP)
    (finding,), _metrics = ask(TOPIC, "postgresql.password_expiry", parts={"roles": roles})

    assert (finding.status, finding.value) == ("warning", 9.5)
    assert finding.evidence == ("next: in 9.5 d", "later: in 300.0 d", "old: expired")
    assert "1 expired already" in finding.summary


def test_passwords_without_an_end_are_fine() -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.password_expiry", parts={"roles": (POSTGRES, APP)})

    assert (finding.status, finding.evidence) == ("ok", ())


@pytest.mark.parametrize(
    ("judged", "status"),
    [
        (rule("local", "peer"), "ok"),
        (rule("local", "trust"), "info"),
        (rule("host", "trust", "127.0.0.1", "255.255.255.255"), "info"),
        (rule("host", "trust", "127.0.0.0", "255.0.0.0"), "info"),
        (rule("host", "trust", "::1", V6), "info"),
        (rule("host", "trust", "samehost"), "info"),
        (rule("host", "trust", "samenet"), "critical"),
        (rule("host", "trust", "all"), "critical"),
        (rule("host", "trust", "0.0.0.0", "0.0.0.0"), "critical"),
        (rule("host", "trust", "127.0.0.0", "0.0.0.0"), "critical"),
        (rule("host", "trust", "::1", "::"), "critical"),
        (rule("hostssl", "trust", "10.0.0.0", "255.0.0.0"), "critical"),
        (rule("hostssl", "trust", "10.0.0.0", "255.0.0.0", ("clientcert=verify-full",)), "ok"),
        (rule("host", "password", "10.0.0.0", "255.0.0.0"), "warning"),
        (rule("hostssl", "password", "10.0.0.0", "255.0.0.0"), "ok"),
        (rule("host", "password", "127.0.0.1", "255.255.255.255"), "ok"),
        (rule("host", "ident", "10.0.0.0", "255.0.0.0"), "warning"),
        (rule("host", "scram-sha-256", "0.0.0.0", "0.0.0.0"), "ok"),
        (rule("host", "reject", "all"), "ok"),
    ],
)
def test_how_bad_a_rule_is(judged: Rule, status: str) -> None:
    assert weight(judged) == status


def test_the_worst_rule_decides_and_comes_first() -> None:
    rules = (rule("local", "trust"), rule("host", "trust", "10.0.0.0", "255.0.0.0"), rule("local", "peer"))
    (finding,), _metrics = ask(TOPIC, "postgresql.access_rules", parts={"rules": rules})

    assert finding.status == "critical"
    assert finding.evidence == (
        "pg_hba.conf, line 7: host trust for all in all from 10.0.0.0/255.0.0.0",
        "pg_hba.conf, line 7: local trust for all in all",
    )
    assert "2 of 3 rules" in finding.summary


def test_rules_that_ask_for_proof_are_fine() -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.access_rules", parts={"rules": (rule("local", "peer"),)})

    assert finding.status == "ok"


def test_sessions_without_encryption_are_counted_by_where_they_come_from() -> None:
    origins = (Origin("app", "shop", "10.1.1.7", 5, 3), Origin("app", "shop", "10.1.1.8", 4, 0))
    (finding,), _metrics = ask(TOPIC, "postgresql.connections_plain", parts={"origins": origins})

    assert (finding.status, finding.value) == ("info", 3)
    assert finding.evidence == ("app@shop from 10.1.1.7: 3",)
    assert "of 9 from other machines" in finding.summary


def test_passwords_kept_as_md5_are_named() -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.password_hashes", parts={"hashes": ("App", "old")})

    assert (finding.status, finding.value, finding.evidence) == ("warning", 2, ("App", "old"))
