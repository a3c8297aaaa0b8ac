# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds a log: a marker on the host, a glob of the task; and what a policy leaves out."""

from __future__ import annotations

import os

import pytest

from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.retention.conftest import (
    make,
    reasons,
    targets,
)


@pytest.mark.parametrize("marker", [".hold", "app.log.hold", "../.hold"])
def test_a_marker_holds_a_log_or_a_folder(run, logs, marker):
    policy = [{"class": "application", "paths": [str(logs.parent)]}]
    (logs / marker).touch()
    result = run(policy=policy)
    assert targets(result) == []
    assert {reason.partition(", but ")[2] for reason in reasons(result).values()} == {
        f"{os.path.normpath(logs / marker)} holds it"
    }


@pytest.mark.parametrize("others", [[], [{"class": "system", "paths": [""]}]])
def test_a_marker_above_the_folder_of_the_policy_holds_it(run, logs, others):
    """A folder with a policy of its own is below the hold of the folder above all the same."""
    policy = [{"class": "application", "paths": [str(logs)]}]
    policy += [{**other, "paths": [str(logs.parent)]} for other in others]
    (logs.parent / ".hold").touch()
    result = run(policy=policy)
    assert result["plan"] == []
    assert {reason.partition(", but ")[2] for reason in reasons(result).values()} == {f"{logs.parent}/.hold holds it"}


def test_a_marker_that_is_put_above_between_plan_and_deed_holds(run, logs, world, tmp_path):
    world.when = {3: (tmp_path.parent / ".hold").touch}
    try:
        result = run()
    finally:
        (tmp_path.parent / ".hold").unlink()
    assert targets(result) == ["app.log.6"]
    assert "it is held by now" in reasons(result)["app.log.5"]


@pytest.mark.parametrize("hold", ["{}", "{}/", "/{}//.", "{}/app.log", "*/app.log", "{}/app.log.*", "{}/*.log"])
def test_a_hold_of_the_task_covers_a_folder_or_a_log(run, logs, hold):
    result = run(hold=[hold.format(logs)])
    assert result["plan"] == []
    assert {finding["check"] for finding in result["findings"]} == {
        "logs.retention_folder", "logs.retention", "logs.retention_overdue",
    }  # fmt: skip


def test_a_hold_that_holds_nothing_is_said(run, logs):
    result = run(check=True, hold=[f"{logs}/pay*", f"{logs}/app.log.6", f"{logs.parent}/other"])
    idle = [finding for finding in result["findings"] if finding["check"] == "logs.retention_hold"]
    assert [(finding["status"], finding["item"]) for finding in idle] == [
        ("warning", f"{logs}/pay*"), ("warning", f"{logs.parent}/other"),
    ]  # fmt: skip


@pytest.mark.parametrize("exclude", ["{}/below", "{}/below/", "*/below", "{}/below/sql.log", "{}/below/*.1", "{}/b*"])
def test_what_is_excluded_is_left_out_with_all_below(run, logs, still, exclude):
    (logs / "below").mkdir()
    make(logs / "below/sql.log.1", still, days=900)
    make(logs / "below/sql.log.2", still, days=10)
    result = run(policy=[{"class": "application", "paths": [str(logs)], "exclude": [exclude.format(logs)]}])
    assert targets(result) == ["app.log.6", "app.log.5", "app.log.4"]
