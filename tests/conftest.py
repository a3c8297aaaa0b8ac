# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts and a controller for every test that wants real ones; a test that asks for none starts none."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from ansible_collections.fleetcare.maintenance.tests.images import containers
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller

IMAGES = Path(__file__).parent / "images"

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile(
    "unhurried",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=DirectoryBasedExampleDatabase(Path(__file__).parents[1] / ".cache/hypothesis"),
)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def engine() -> None:
    """Make sure that a Docker engine answers; what stands in the way is the message."""
    done = subprocess.run(
        [str(IMAGES / "prepare"), "containers"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"no containers to test against: {done.stderr}", pytrace=False)


@pytest.fixture(scope="session")
def start_hosts(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., containers.Fleet]]:
    """Start hosts that live until the session ends: ``start_hosts(["a", "b"], image="debian13")``.

    Takes what ``containers.hosts`` takes, but the directory. Give a module its own with a fixture of
    module scope; ``containers.hosts`` itself removes its hosts sooner.
    """
    with ExitStack() as stack:

        def started(names: Any, **options: Any) -> containers.Fleet:
            directory = tmp_path_factory.mktemp("fleet")
            return stack.enter_context(containers.hosts(names, directory=directory, **options))

        yield started


@pytest.fixture(scope="session")
def make_controller(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Controller]:
    """Make a controller for a fleet: ``make_controller(fleet, groups={...}, variables={...})``."""

    def made(fleet: containers.Fleet, *, environment: dict[str, str] | None = None, **inventory: Any) -> Controller:
        directory = tmp_path_factory.mktemp("controller")
        path = fleet.write_inventory(directory / "inventory.yml", **inventory)
        return Controller(inventory=path, directory=directory, environment=environment or {})

    return made
