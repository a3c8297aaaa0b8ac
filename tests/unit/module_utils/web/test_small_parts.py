# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Status sets, JSON paths and percentiles, against generated cases and plain definitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.web import jsonpath, statistics, statuses

codes = st.integers(100, 599)


@given(codes, codes, st.integers(1, 5), codes)
def test_a_status_set_holds_exactly_what_is_written(low: int, high: int, hundreds: int, single: int) -> None:
    low, high = sorted((low, high))
    found = statuses.parse([f"{low}-{high}", f"{hundreds}XX", single])
    wanted = {*range(low, high + 1), *range(hundreds * 100, hundreds * 100 + 100), single}
    assert {code for code in range(1000) if code in found} == wanted


@pytest.mark.parametrize(
    "parts", [[], ["600"], ["2x"], ["300-200"], ["20"], ["a"], [True], ["200,201"], ["99-200"], [None]]
)
def test_what_is_no_status_set_is_refused(parts: list[object]) -> None:
    with pytest.raises(ValueError):
        statuses.parse(parts)


DOCUMENT = {
    "status": "ok",
    "checks": {"database": {"status": "ok", "ms": 3}, "cache": {"status": "down"}, "a.b": {"c": None}},
    "nodes": [{"up": True}, {"up": False}],
}


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("status", [("status", "ok")]),
        ("$.status", [("status", "ok")]),
        ("checks.database.ms", [("checks.database.ms", 3)]),
        ("checks.*.status", [("checks.database.status", "ok"), ("checks.cache.status", "down")]),
        ('checks["a.b"].c', [("checks.a.b.c", None)]),
        ("nodes[1].up", [("nodes[1].up", False)]),
        ("nodes[-1].up", [("nodes[-1].up", False)]),
        ("nodes[*].up", [("nodes[0].up", True), ("nodes[1].up", False)]),
        ("$[*]", []),
        ("nodes[7].up", []),
        ("nodes.up", []),
        ("status.up", []),
        ("missing.up", []),
    ],
)
def test_a_path_leads_to_its_places(path: str, places: list[object]) -> None:
    document: object = DOCUMENT if path != "$[*]" else 7
    assert jsonpath.find(document, jsonpath.parse(path)) == places


@pytest.mark.parametrize("path", ["", "$", ".a", "a..b", "a[", "a[x]", "a]", "a. ", "[]", "a." * 60 + "a"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError):
        jsonpath.parse(path)


@given(st.lists(st.text(alphabet="abcxyz0_-", min_size=1, max_size=5), min_size=1, max_size=6), st.integers())
def test_a_path_made_of_names_finds_what_lies_at_its_end(names: list[str], value: int) -> None:
    document: object = value
    for name in reversed(names):
        document = {name: document}
    assert jsonpath.find(document, jsonpath.parse(".".join(names))) == [(".".join(names), value)]


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        steps = jsonpath.parse(text)
    except ValueError:
        return
    assert isinstance(jsonpath.find(DOCUMENT, steps), list)


def test_a_document_made_to_be_walked_for_ever_is_cut() -> None:
    wide = [[[0] * 100] * 100] * 100
    assert len(jsonpath.find(wide, jsonpath.parse("*.*.*"))) <= jsonpath.MAX_MATCHES


floats = st.floats(0, 1000, allow_nan=False)


@given(st.lists(floats, min_size=1, max_size=300), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_with_enough_values_up_to_it(values: list[float], percent: int) -> None:
    found = statistics.percentile(values, percent)
    enough = [one for one in values if sum(1 for other in values if other <= one) * 100 >= percent * len(values)]
    assert found == min(enough)
    assert statistics.is_maximum(len(values), percent) == (percent * len(values) > 100 * (len(values) - 1))


@given(st.lists(floats, min_size=1, max_size=150))
def test_a_distribution_rises_and_agrees_with_its_percentiles(values: list[float]) -> None:
    spread = statistics.distribution(values)
    assert list(spread.values()) == sorted(spread.values())
    assert spread == {
        **{f"p{percent}": statistics.percentile(values, percent) for percent in statistics.PERCENTILES},
        "max": max(values),
    }


def test_nothing_has_no_percentile() -> None:
    assert statistics.distribution([]) == {}
    with pytest.raises(ValueError):
        statistics.percentile([], 50)
    with pytest.raises(ValueError):
        statistics.percentile([1.0], 0)


@pytest.mark.parametrize(
    ("amount", "percent", "so"), [(5, 95, True), (19, 95, True), (20, 95, False), (99, 99, True), (100, 99, False)]
)
def test_few_samples_have_their_maximum_for_a_percentile(amount: int, percent: int, so: bool) -> None:
    assert statistics.is_maximum(amount, percent) is so
