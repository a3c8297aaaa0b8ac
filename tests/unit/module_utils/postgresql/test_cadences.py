# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cadences of the role ask: each more than the one before, and only what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.topics import QUESTIONS

ROLE = Path(__file__).resolve().parents[4] / "roles/postgresql"
CADENCES = ("daily", "weekly", "monthly", "quarterly")


def asked(cadence: str) -> frozenset[str]:
    """Raises OptionError for a glob that chooses nothing."""
    defaults: dict[str, Any] = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    return CATALOGUE.select(defaults[f"postgresql_checks_{cadence}"]) & set(QUESTIONS)


@pytest.mark.parametrize(("seldom", "often"), [("weekly", "daily"), ("monthly", "weekly"), ("quarterly", "monthly")])
def test_a_cadence_asks_more_than_the_one_that_comes_more_often(seldom: str, often: str) -> None:
    assert asked(often) < asked(seldom)


def test_every_check_is_asked_sometime() -> None:
    assert asked("quarterly") == set(QUESTIONS)


@pytest.mark.parametrize(
    ("cadence", "checks"),
    [
        ("daily", {"reachable", "connections", "long_query", "wraparound", "archiver", "one_primary"}),
        ("weekly", {"slow_statement", "statement_regression", "cache_hit", "vacuum_due", "password_expiry"}),
        ("monthly", {"size", "table_size", "index_duplicate", "index_unused", "table_bloat"}),
        ("quarterly", {"superusers", "access_rules", "public_create", "amcheck", "data_directory"}),
    ],
)
def test_a_cadence_begins_what_the_guides_ask_of_it(cadence: str, checks: set[str]) -> None:
    wanted = {f"postgresql.{name}" for name in checks}
    earlier = CADENCES[CADENCES.index(cadence) - 1] if cadence != "daily" else ""

    assert wanted <= asked(cadence)
    assert not earlier or not wanted & asked(earlier)
