# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two versions of logrotate print of one and the same spoilt configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.dryrun import parse
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.trial import objections

FIXTURES = Path(__file__).parent / "fixtures"
both = pytest.mark.parametrize("version", ["3.21", "3.22"])


def said(version):
    return parse((FIXTURES / f"debug-{version}.txt").read_text())


@both
def test_errors_are_sorted_by_what_is_to_be_done(version):
    found = said(version)
    assert found.errors == (
        "broken:3 bad rotation count 'many'",
        "open:2 bad rotation count '2 }'",
        "who:1 unknown user 'nobody2'",
        "Ignoring writable because it is writable by group or others.",
    )
    assert found.warnings == ("Potentially dangerous mode on writable: 0664",)
    assert found.duplicates == ("twice:1 duplicate log entry for /var/log/dpkg.log",)
    assert found.missing == ("/srv/dup/gone.log", "/srv/dup/sub", "/srv/dup/none.log")
    assert found.insecure == ("/srv/open/a.log",)
    assert {"broken", "open", "twice", "who", "/srv/dup/x.log"} <= set(found.skipped)
    assert found.state_file == "/var/lib/logrotate/status"


@both
def test_each_log_has_its_fate(version):
    fates = {one.log: (one.fate, one.reason) for one in said(version).considered}
    assert fates["/srv/shop/logs/app.log"] == ("due", "")
    assert fates["/srv/shop/logs/empty.log"] == ("not due", "log has already been rotated")
    assert fates["/var/log/alternatives.log"] == ("missing", "it is not there")
    assert fates["/srv/dup/gone.log"] == ("missing", "it is not there")
    assert fates["/srv/open/a.log"][0] == "skipped"
    assert fates["/srv/dup/hard.log"][0] == "skipped"
    assert fates["/srv/dup/with blank.log"] == ("due", "")


@both
def test_a_log_that_is_not_there_is_no_objection_to_a_rule(version):
    found = objections(said(version))
    assert not any("gone.log" in text for text in found)
    assert "the folder of /srv/open/a.log is open to others: name user and group with run_as" in found


def test_the_place_of_a_trial_is_left_out_of_an_objection():
    found = parse("error: /tmp/fleetcare-logrotate-f3l_41p5/rule:17 unknown user 'nobody2'\n")
    assert objections(found) == ["unknown user 'nobody2'"]


@given(st.lists(st.sampled_from((FIXTURES / "debug-3.21.txt").read_text().splitlines()) | st.text(max_size=40)))
def test_no_order_of_lines_breaks_the_reader(lines):
    parse("\n".join(lines))
