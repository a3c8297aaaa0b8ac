# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import StateError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import evidence, systemd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import parse_show

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)


def unit(pid, name="app.service"):
    return parse_show(f"Id={name}\nLoadState=loaded\nActiveState=active\nSubState=running\nMainPID={pid}\n")[0]


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setattr(systemd, "status_lines", lambda name: [f"status of {name}"] * 100)
    monkeypatch.setattr(systemd, "journal_lines", lambda name, lines: [f"line {at}" for at in range(lines)])


def test_evidence_of_a_living_process(told):
    lines = evidence.take(unit(os.getpid()), lines=3, said="no answer")
    assert lines[0] == "probe: no answer"
    assert any(line.startswith(f"pid {os.getpid()} ") and "State " in line for line in lines)
    assert lines.count("status of app.service") == evidence.MAX_STATUS_LINES
    assert lines[-3:] == ["line 0", "line 1", "line 2"]


def test_evidence_of_a_unit_that_is_gone(told):
    lines = evidence.take(unit(0), lines=0, said="no answer")
    assert "main process none" in lines[1]
    assert lines[-1].startswith("--- journalctl")


def test_the_newest_files_of_a_unit_are_kept_and_others_untouched(tmp_path):
    for name in ("app.service", "app@1.service", "dev-a\\x2db.service"):
        for minute in range(evidence.FILES_KEPT + 3):
            evidence.save(["x"], unit=name, directory=tmp_path, now=NOW + timedelta(minutes=minute))
    names = sorted(path.name for path in (tmp_path / "evidence").iterdir())
    assert len(names) == 3 * evidence.FILES_KEPT
    assert names[0] == "app.service.20260329T013300.000000Z.txt"


def test_a_folder_of_somebody_else_is_not_used(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "evidence").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError):
        evidence.save(["x"], unit="app.service", directory=tmp_path, now=NOW)
