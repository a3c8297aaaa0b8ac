# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts that all other integration tests stand on."""

from __future__ import annotations

import subprocess

import pytest

pytestmark = pytest.mark.integration


def test_hosts_answer_over_ssh_with_their_own_python(debian_controller):
    results = debian_controller.module("ansible.builtin.ping")
    assert {name: result["ping"] for name, result in results.items()} == {"bookworm": "pong", "trixie": "pong"}


def test_hosts_boot_without_a_failed_unit(debian_pair):
    failed = {name: host.execute(["systemctl", "--failed", "--no-legend"]).stdout for name, host in debian_pair.items()}
    assert failed == {"bookworm": "", "trixie": ""}


def test_every_host_has_a_host_key_of_its_own(debian_pair):
    keys = [line.split()[2] for line in debian_pair.known_hosts.read_text().splitlines()]
    assert len(set(keys)) == len(debian_pair)


def test_a_stranger_with_another_key_is_refused(debian_pair, tmp_path):
    key = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    host = debian_pair["bookworm"]
    argv = ["ssh", *debian_pair.ssh_arguments(), "-i", str(key), f"maint@{host.address}", "true"]
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 255
    assert "Permission denied" in done.stderr
