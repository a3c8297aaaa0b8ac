# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal under a retention: holds and budgets are those of other logs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.journald import Archived, Folder
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention import act
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention import retain as retain_module


@pytest.fixture
def journal(tmp_path, still, monkeypatch):
    """Five archived files of 4 KiB each, written to 200 days ago; journalctl only says what it was asked."""
    folder = tmp_path / "journal" / "abc"
    folder.mkdir(parents=True)
    old = still.now() - timedelta(days=200)
    files = tuple(Archived(f"{at}.journal", old - timedelta(days=9 - at), old, 4096) for at in range(5))
    monkeypatch.setattr(retain_module, "collect_folders", lambda roots: [Folder(str(folder), files, 0)])
    asked = []

    def carry_out(planned, *, clock):
        asked.append([file.name for file in planned.going])
        return Folder(str(folder), files[len(planned.going) :], 0)

    monkeypatch.setattr(act.vacuum, "carry_out", carry_out)
    return folder, asked


def vacuum(run, **given):
    result = run(journal={"days": 90, "max_bytes": None}, policy=[], **given)
    return result, [finding for finding in result["findings"] if finding["check"] == "logs.retention_journal"]


@pytest.mark.parametrize("held", ["{}", "{}/", "*/journal", "{}/0.journal", ".hold", "../.hold", "../../.hold"])
def test_a_hold_holds_the_journal_too(run, journal, held):
    folder, asked = journal
    if held.endswith(".hold"):
        (folder / held).touch()
    result, (finding,) = vacuum(run, hold=[] if held.endswith(".hold") else [held.format(folder)])
    assert (result["plan"], asked, finding["status"]) == ([], [], "info")
    assert result["kept"][0]["target"] == str(folder)
    assert "hold" in finding["summary"]


def test_the_journal_is_within_the_budget_of_the_run(run, journal):
    _folder, asked = journal
    result, (finding,) = vacuum(run, budget_files=2)
    assert (asked, finding["status"]) == ([["0.journal", "1.journal"]], "warning")
    assert "what is left of the budget of this run is 0 files" in finding["summary"]
    asked.clear()
    result, (finding,) = vacuum(run, budget_bytes=4095)
    assert (result["plan"], asked, finding["status"]) == ([], [], "warning")


def test_a_journal_that_is_held_between_plan_and_deed_is_left_alone(run, journal, monkeypatch):
    folder, asked = journal
    real = act.Doer.__call__
    monkeypatch.setattr(act.Doer, "__call__", lambda doer, step: [(folder / ".hold").touch(), real(doer, step)][1])
    result, _findings = vacuum(run)
    assert (asked, result["applied"]) == ([], [])
    assert "it is held by now" in result["kept"][0]["reason"]
