# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Few findings for many objects, and none of them lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Topic, View
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.worst import (
    OFFENDERS,
    SHOWN,
    Candidate,
    tell,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import ask

CHECK = "postgresql.fullness"
LEVELS = Levels(warning=50, critical=80)


def topic(values: Sequence[float], levels: Levels = LEVELS) -> Topic:
    def question(view: View) -> Iterator[Answer]:
        candidates = [
            Candidate(view.item("shop", f"t{at}"), value, f"t{at} {value}", note=f"t{at}")
            for at, value in enumerate(values)
        ]
        yield from tell(view, CHECK, view.item("shop"), candidates, "fullest of all", nothing="no tables")

    row = Check(CHECK, "Fullness", "How full it is.", "Empty it.", "nowhere", "%", levels)
    return Topic(checks=(row,), questions={CHECK: (question, ())})


@given(st.lists(st.integers(0, 100), max_size=60))
def test_the_findings_stay_few_and_the_worst_status_is_never_lost(values: list[int]) -> None:
    findings, metrics = ask(topic(values), CHECK)

    assert 1 <= len(findings) <= OFFENDERS + 1
    assert len(metrics) <= SHOWN + 1
    worst = max(values, default=None)
    assert LEVELS.judge(worst or 0) == findings[0].status
    assert metrics.get((CHECK, "localhost:5432/shop")) == worst
    above = [value for value in values if value >= 50]
    assert sum(finding.status != "ok" for finding in findings[:OFFENDERS]) == min(len(above), OFFENDERS)
    if len(above) > OFFENDERS:
        assert findings[-1].status != "ok"
        assert f"{len(above) - OFFENDERS} more are above their level" in findings[-1].summary


def test_those_too_many_to_be_told_one_by_one_are_counted_with_the_status_of_the_worst() -> None:
    findings, metrics = ask(topic([*range(40, 80), 95]), CHECK)

    assert len(findings) == OFFENDERS + 1
    assert (findings[0].status, findings[0].value) == ("critical", 95)
    last = findings[-1]
    assert (last.item, last.status, last.value) == ("localhost:5432/shop", "warning", 60)
    assert "besides the 20 told one by one; 11 more are above their level" in last.summary
    assert len(metrics) == SHOWN + 1


def test_where_less_is_worse_the_least_comes_first() -> None:
    findings, metrics = ask(topic([30, 3, 20], Levels(warning=10, direction="lower")), CHECK)

    assert [(finding.item, finding.status, finding.value) for finding in findings] == [
        ("localhost:5432/shop t1", "warning", 3),
        ("localhost:5432/shop", "ok", 20),
    ]
    assert metrics[CHECK, "localhost:5432/shop"] == 3


def test_one_above_its_level_has_its_own_finding_and_the_others_one_together() -> None:
    findings, _metrics = ask(topic([10, 90, 20]), CHECK)

    assert [(finding.item, finding.status, finding.value) for finding in findings] == [
        ("localhost:5432/shop t1", "critical", 90),
        ("localhost:5432/shop", "ok", 20),
    ]
    assert findings[1].summary == (
        "fullest of all: 20 % (warning from 50 %, critical from 80 %); t2; besides the 1 told one by one"
    )
    assert findings[1].evidence == ("t2 20", "t0 10")


def test_levels_of_one_object_are_its_own() -> None:
    lenient = {f"{CHECK}[*t1]": {"warning": 95, "critical": 99}}
    findings, _metrics = ask(topic([10, 90, 70]), CHECK, levels=lenient)

    assert [(finding.item, finding.status, finding.value) for finding in findings] == [
        ("localhost:5432/shop t2", "warning", 70),
        ("localhost:5432/shop", "ok", 90),
    ]
    assert findings[1].levels == {"warning": 95, "critical": 99, "direction": "upper"}


def test_levels_of_all_together_judge_each() -> None:
    findings, _metrics = ask(
        topic([10, 90, 20]), CHECK, levels={f"{CHECK}[localhost:5432/shop]": {"warning": 15, "critical": None}}
    )

    assert [(finding.item, finding.status) for finding in findings] == [
        ("localhost:5432/shop t1", "warning"),
        ("localhost:5432/shop t2", "warning"),
        ("localhost:5432/shop", "ok"),
    ]


def test_nothing_to_look_at_is_said() -> None:
    findings, metrics = ask(topic([]), CHECK)

    assert [(finding.status, finding.summary) for finding in findings] == [("ok", "no tables")]
    assert metrics == {}
