# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shadow of the collection for runs that are to go wrong, and a folder of its own for each test."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.fleetcare.maintenance.tests.shadow.site import Site, build

PATIENCE = 120.0


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shadow"))


@pytest.fixture
def site(collections: Path, tmp_path: Path) -> Site:
    return Site(folder=tmp_path, collections=collections)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait for something to come true; a minute or two late is the machine's load, for ever is a failure."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)

    return wait


@pytest.fixture
def kill_controller() -> Callable[[subprocess.Popen[bytes]], None]:
    """Kill ansible-playbook and its workers at once, and leave the module alive that they wait for."""

    def kill(process: subprocess.Popen[bytes]) -> None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for pid in (process.pid, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        process.wait()

    return kill
