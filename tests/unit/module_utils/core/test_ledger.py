# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Busy, Ledger, last, spent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import StateError

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "state", "service_recover")


def test_nothing_written_is_nothing_spent(ledger):
    assert ledger.read() == {}
    assert spent(ledger.read(), "app.service", now=NOW, window=DAY) == 0
    assert last(ledger.read(), "app.service", now=NOW) is None


def test_a_charge_is_on_the_disk_for_the_owner_alone(ledger):
    ledger.charge("app.service", now=NOW)
    assert Ledger(ledger.directory, ledger.repair).read() == {"app.service": [NOW]}
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(ledger.directory.stat().st_mode) == 0o700


def test_the_window_counts_its_own_deeds_and_those_just_ahead_of_the_clock(ledger):
    for hours in (-25, -23, -1, 1, 30):
        ledger.charge("app.service", now=NOW + timedelta(hours=hours))
    assert spent(ledger.read(), "app.service", now=NOW, window=DAY) == 3
    assert last(ledger.read(), "app.service", now=NOW) == NOW + timedelta(hours=1)


def test_old_deeds_are_forgotten_and_others_kept(ledger):
    ledger.charge("old.service", now=NOW - timedelta(days=9))
    ledger.charge("app.service", now=NOW)
    assert ledger.read() == {"app.service": [NOW]}


@pytest.mark.parametrize(
    "content", ["", "null", "[]", '{"deeds": 3}', '{"deeds": {"a": ["yesterday"]}}', '{"deeds": {"a": [7]}}']
)
def test_a_ledger_that_cannot_be_understood_is_not_an_unspent_budget(ledger, content):
    ledger.directory.mkdir(mode=0o700)
    ledger.path.write_text(content)
    with pytest.raises(StateError, match="cannot be understood"):
        ledger.read()
    with pytest.raises(StateError):
        ledger.charge("app.service", now=NOW)


def test_a_link_in_place_of_the_ledger_is_not_followed(ledger, tmp_path):
    ledger.directory.mkdir(mode=0o700)
    (tmp_path / "elsewhere").write_text(json.dumps({"deeds": {}}))
    ledger.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError):
        ledger.read()


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    ledger = Ledger(tmp_path / "file" / "state", "service_recover")
    with pytest.raises(StateError, match="cannot be read"):
        ledger.charge("app.service", now=NOW)
    with pytest.raises(StateError, match="cannot be opened"), ledger.alone():
        pass


def test_one_at_a_time_and_free_again_afterwards(ledger):
    other = Ledger(ledger.directory, ledger.repair)
    with ledger.alone():
        with pytest.raises(Busy):
            other.would_be_alone()
        with pytest.raises(Busy), other.alone():
            pytest.fail("two were let in")
    other.would_be_alone()
    with other.alone():
        pass


def test_asking_makes_no_file(ledger):
    ledger.would_be_alone()
    assert not ledger.directory.exists()


def test_asking_foresees_a_folder_that_cannot_be_made(ledger, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))
    with pytest.raises(StateError, match="cannot be written to"):
        ledger.would_be_alone()
    assert asked == [(tmp_path, os.W_OK | os.X_OK)]
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="not trusted"):
        Ledger(tmp_path / "file", "service_recover").would_be_alone()


def test_asking_foresees_a_folder_that_others_use(ledger):
    ledger.directory.mkdir()
    ledger.directory.chmod(0o755)
    ledger.would_be_alone()
    (ledger.directory / "dpkg").mkdir()
    for refused in (ledger.would_be_alone, ledger.alone().__enter__):
        with pytest.raises(StateError, match="open to others"):
            refused()


def test_the_lock_goes_with_the_process_that_held_it(ledger):
    program = (
        "import sys; from pathlib import Path\n"
        "from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1]), sys.argv[2]).alone():\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", program, str(ledger.directory), ledger.repair]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Busy):
            ledger.would_be_alone()
        holder.kill()
        holder.wait()
    ledger.would_be_alone()
