# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A subject's table of checks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import (
    Catalogue,
    Check,
    hold_back,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook, Levels


def check(name, **more):
    return Check(id=name, title="t", meaning="m", remedy="do this", source="s", **more)


CATALOGUE = Catalogue(
    "host",
    [
        check("host.disk_bytes", unit="%", levels=Levels(warning=85, critical=90)),
        check("host.disk_io", unit="ms"),
        check("host.cpu", unit="%", levels=Levels(warning=80)),
    ],
)


@pytest.mark.parametrize("second", ["host.cpu", "web.cpu"])
def test_ids_are_unique_and_of_the_subject(second):
    with pytest.raises(ValueError, match="not unique or not of subject"):
        Catalogue("host", [check("host.cpu"), check(second)])


@pytest.mark.parametrize(
    ("globs", "chosen"),
    [
        ([], {"disk_bytes", "disk_io", "cpu"}),
        (["host.disk*"], {"disk_bytes", "disk_io"}),
        (["disk*"], {"disk_bytes", "disk_io"}),
        (["disk*", "!disk_io"], {"disk_bytes"}),
        (["!disk_io"], {"disk_bytes", "cpu"}),
        (["!disk*", "disk_io"], {"disk_io"}),
    ],
)
def test_globs_choose_and_take_away(globs, chosen):
    assert CATALOGUE.select(globs) == {f"host.{name}" for name in chosen}


def test_a_glob_that_matches_nothing_is_refused():
    with pytest.raises(OptionError, match="Option 'checks' is 'dsik'"):
        CATALOGUE.select(["dsik"])


def test_a_name_that_is_none_is_answered_with_what_may_have_been_meant():
    many = Catalogue("web", [check(f"web.page{number}") for number in range(20)])
    refused = []
    for catalogue, name in ((CATALOGUE, "disk_byte"), (CATALOGUE, "xyz"), (many, "xyz")):
        with pytest.raises(OptionError) as told:
            catalogue.select([name])
        refused.append(str(told.value).partition("matches a check: ")[2])

    assert refused[0] == "host.disk_bytes or host.disk_io, perhaps."
    assert refused[1] == "one of host.disk_bytes, host.disk_io, host.cpu."
    assert refused[2] == "one of the 20 in docs/checks.md."


@given(st.lists(st.sampled_from(["*", "disk*", "cpu", "!cpu", "!disk_io", "!*"])))
def test_a_choice_is_always_of_the_catalogue(globs):
    assert CATALOGUE.select(globs) <= set(CATALOGUE)


def test_levels_for_a_check_that_does_not_exist_are_refused():
    with pytest.raises(OptionError, match=r"levels\.host\.cup"):
        CATALOGUE.require(LevelBook({"host.cup": {"warning": 1}}))


def test_bad_levels_for_an_item_are_refused_before_anything_is_looked_at():
    with pytest.raises(OptionError, match="rise from info"):
        CATALOGUE.require(LevelBook({"host.disk_bytes[/srv]": {"warning": 95}}))


def test_a_measurement_is_compared_and_worded():
    finding = CATALOGUE.measured("host.disk_bytes", "/", 86.25, "/ in use", book=LevelBook(), note="2 GiB free")
    assert finding.as_dict() == {
        "check": "host.disk_bytes",
        "item": "/",
        "status": "warning",
        "summary": "/ in use: 86.2 % (warning from 85 %, critical from 90 %); 2 GiB free",
        "value": 86.25,
        "unit": "%",
        "levels": {"warning": 85, "critical": 90, "direction": "upper"},
        "remedy": "do this",
    }


def test_a_measurement_that_is_fine_needs_no_remedy():
    assert CATALOGUE.measured("host.cpu", "c", 1, "busy", book=LevelBook(), remedy="no").remedy == ""


def test_levels_of_the_item_replace_the_default_and_the_users_win():
    scaled = Levels(warning=95, critical=98)
    plain = CATALOGUE.measured("host.disk_bytes", "/", 91, "/", book=LevelBook(), levels=scaled)
    assert plain.status == "ok"
    book = LevelBook({"host.disk_bytes[/]": {"warning": 90}})
    assert CATALOGUE.measured("host.disk_bytes", "/", 91, "/", book=book, levels=scaled).status == "warning"


def test_without_levels_nothing_is_judged_and_nothing_is_worded():
    finding = CATALOGUE.measured("host.disk_io", "sda", 900, "await", book=LevelBook())
    assert (finding.status, finding.summary, finding.levels) == ("ok", "await: 900 ms", None)


def test_a_skip_says_what_would_unskip_it():
    finding = CATALOGUE.skipped("host.cpu", "host", "no /proc", remedy="Mount it.")
    assert (finding.status, finding.summary, finding.remedy) == ("skipped", "no /proc", "Mount it.")


def test_a_fact_that_alarms_brings_the_checks_remedy():
    assert CATALOGUE.stated("host.cpu", "c", "critical", "gone").remedy == "do this"
    assert CATALOGUE.stated("host.cpu", "c", "ok", "there").remedy == ""


@pytest.mark.parametrize(("status", "lowered"), [("critical", "info"), ("warning", "info"), ("info", "ok")])
def test_what_has_not_lasted_is_held_back(status, lowered):
    finding = hold_back(CATALOGUE.stated("host.cpu", "c", status, "busy"), seen=1, runs=3)
    assert finding.status == lowered
    assert finding.summary == f"busy; seen in 1 of the 3 runs in a row that make it {status}"
