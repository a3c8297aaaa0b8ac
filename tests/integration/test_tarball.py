# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built tarball in an empty project, run by ansible-runner with an inventory and extra variables, as AWX does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ansible_runner
import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal.chain import runs, verify
from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent


def _galaxy(*arguments: str, environment: dict[str, str]) -> None:
    subprocess.run(
        [str(PROGRAMS / "ansible-galaxy"), "collection", *arguments],
        check=True,
        capture_output=True,
        cwd=environment["HOME"],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty project (runner's private data directory) with the collection installed from the tarball."""
    folder = tmp_path_factory.mktemp("awx")
    (folder / "ansible.cfg").touch()
    environment = {"HOME": str(tmp_path_factory.mktemp("home")), "ANSIBLE_CONFIG": str(folder / "ansible.cfg")}
    collections = folder / "project" / "collections"
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(collections)
    _galaxy("build", "--output-path", str(folder), str(ROOT), environment=environment)
    (tarball,) = folder.glob("*.tar.gz")
    _galaxy("install", "--collections-path", str(collections), str(tarball), environment=environment)
    return folder


def _run(project: Path, inventory: dict[str, Any], **extra: Any) -> ansible_runner.Runner:
    return ansible_runner.run(
        private_data_dir=str(project),
        playbook="fleetcare.maintenance.daily",
        inventory=inventory,
        extravars=extra,
        envvars={
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(project / "project" / "collections"),
            "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
        },
        quiet=True,
    )


def test_the_installed_collection_runs_its_day_on_real_hosts_and_closes_its_journal(
    project: Path, debian_pair: Fleet
) -> None:
    done = _run(
        project,
        debian_pair.inventory(),
        awx_job_id=4711,
        awx_user_name="scheduler",
        maintenance_fail_on="never",
    )
    output = done.stdout.read()
    assert done.rc == 0, output
    reports = project / "project" / "reports"
    report = json.loads((reports / "latest.json").read_text())
    assert sorted(host["host"] for host in report["hosts"]) == sorted(debian_pair)
    (run,) = runs(reports / "journal")
    header = json.loads((reports / "journal" / run / "run.json").read_text())
    assert header["job"] == {"job_id": "4711", "launched_by": "scheduler"}
    verdict = verify(reports / "journal")
    assert not verdict.problems
    assert not verdict.open_runs
    assert f"{run}/report.html" in output


def test_the_tarball_carries_the_product_and_nothing_else(project: Path) -> None:
    installed = project / "project" / "collections" / "ansible_collections" / "fleetcare" / "maintenance"
    names = {path.name for path in installed.iterdir()}
    assert {"plugins", "roles", "playbooks", "meta", "README.md", "LICENSE"} <= names
    assert not names & {".cache", ".git", "reports", ".ci"}
