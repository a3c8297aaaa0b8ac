# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images and containers of the tests: built once, removed always."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ansible_collections.fleetcare.maintenance.tests.images import build, containers

pytestmark = pytest.mark.integration

DEAD = "process 4194305 started 1 1"


def is_there(host: containers.Host) -> bool:
    argv = ["docker", "inspect", "--format", "{{.State.Status}}", host.container]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_the_containers_of_a_dead_process_go_and_those_of_a_named_owner_stay(engine, tmp_path):
    named = containers.start({"kept": "debian12"}, owner="named test", directory=tmp_path / "a", systemd=False)
    left = containers.start({"left": "debian12"}, owner=DEAD, directory=tmp_path / "b", systemd=False)
    try:
        containers.remove_leftovers()
        assert (is_there(named["kept"]), is_there(left["left"])) == (True, False)
    finally:
        containers.stop("named test")
        containers.stop(DEAD)
    assert not is_there(named["kept"])


def test_hosts_go_when_the_test_that_asked_for_them_fails(engine, tmp_path):
    fleets = []

    def fail_inside() -> None:
        with containers.hosts(["a"], directory=tmp_path, systemd=False) as fleet:
            fleets.append(fleet)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert not is_there(fleets[0]["a"])


def test_a_paused_host_is_there_and_silent(engine, tmp_path):
    with containers.hosts(["a"], directory=tmp_path, systemd=False) as fleet:
        fleet["a"].pause()
        argv = ["ssh-keyscan", "-T", "1", "-t", "ed25519", fleet["a"].address]
        assert subprocess.run(argv, capture_output=True, text=True, check=False).stdout == ""
        fleet["a"].unpause()
        assert "ssh-ed25519" in subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def test_an_image_is_named_after_everything_that_goes_into_it(tmp_path, monkeypatch):
    shutil.copytree(build.HERE / "host", tmp_path / "host")
    monkeypatch.setattr(build, "HERE", tmp_path)
    before = build.image_tag("debian12")
    assert build.image_tag("debian13") != before
    (tmp_path / "host/files/etc/sudoers.d/maint").write_text("nobody\n")
    assert build.image_tag("debian12") != before


def test_an_image_that_nobody_described_is_refused_by_name():
    with pytest.raises(build.ImageError, match=r"there is no test image 'debian11'; there are .*debian12, debian13"):
        build.ensure_image("debian11")
