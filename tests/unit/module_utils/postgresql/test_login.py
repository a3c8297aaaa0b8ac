# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a login for maintenance lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.login import (
    ARGUMENTS,
    Found,
    Wanted,
    decide,
    login,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.scram import verifier

WANTED = Wanted("maintenance", "tests-only", ("pg_monitor", "pg_maintain"), "postgres")
WHOLE = Found(True, True, frozenset({"pg_monitor", "pg_maintain"}), True, verifier("tests-only", iterations=2))


def steps(found: Found, wanted: Wanted = WANTED) -> list[str]:
    return [f"{change.step.action} {change.step.target}" for change in decide(found, wanted)]


def test_what_is_whole_needs_nothing() -> None:
    assert steps(WHOLE) == []


def test_what_is_not_there_is_made_and_then_given_what_it_needs() -> None:
    assert steps(Found()) == [
        "create login maintenance",
        "grant pg_monitor to maintenance",
        "grant pg_maintain to maintenance",
        "grant configuration files to maintenance in postgres",
    ]


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (replace(WHOLE, can_login=False), "allow login maintenance"),
        (replace(WHOLE, password=verifier("another", iterations=2)), "set password of maintenance"),
        (replace(WHOLE, password="md5deadbeef"), "set password of maintenance"),
        (replace(WHOLE, password=""), "set password of maintenance"),
        (replace(WHOLE, held=frozenset({"pg_monitor"})), "grant pg_maintain to maintenance"),
        (replace(WHOLE, sees_files=False), "grant configuration files to maintenance in postgres"),
    ],
)
def test_what_is_missing_is_one_step(found: Found, step: str) -> None:
    assert steps(found) == [step]


def test_there_is_no_way_back_to_a_password_that_nobody_knows() -> None:
    changes = decide(replace(WHOLE, password="md5deadbeef", sees_files=False), WANTED)

    assert [(change.step.action, change.step.reversible) for change in changes] == [("set", False), ("grant", True)]


def test_a_password_that_nobody_sees_or_wants_is_left_alone() -> None:
    assert steps(replace(WHOLE, password=None)) == []
    assert steps(replace(WHOLE, password=""), replace(WANTED, password="")) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", ""),
        ("name", "pg_evil"),
        ("name", "public"),
        ("name", "x" * 64),
        ("password", "p\u00e4ss"),
        ("password", "a\nb"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_without_the_password(option: str, value: str) -> None:
    params = {name: spec.get("default") for name, spec in ARGUMENTS.items()}
    context: Any = type("Context", (), {"params": {**params, option: value}})
    with pytest.raises(OptionError, match=f"Option '{option}'") as caught:
        login(context)

    assert option == "name" or value not in str(caught.value)
