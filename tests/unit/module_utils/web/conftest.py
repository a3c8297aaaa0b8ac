# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.endpoint import ARGUMENTS
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.web.servers import Authority

Ask = Callable[..., dict[str, Any]]


def by_check(result: dict[str, Any], item: str = "") -> dict[str, dict[str, Any]]:
    return {one["check"]: one for one in result["findings"] if not item or one["item"] == item}


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Run the module's work as Ansible would, with two samples and a short time limit unless told otherwise."""

    def run(*endpoints: Any, **options: Any) -> dict[str, Any]:
        params: dict[str, Any] = {name: argument.get("default") for name, argument in ARGUMENTS.items()}
        params.update(
            levels={}, checks=[], state_dir=str(tmp_path / "state"), state_consumer="test", state_acknowledged=None
        )
        params.update({"samples": 2, "warmup": 0, "timeout_seconds": 5}, **options)
        params["endpoints"] = list(endpoints)
        return perform(
            check,
            params=params,
            check_mode=False,
            name="http_check",
            catalogue=CATALOGUE,
            repair=False,
            clock=Clock(),
        )

    return run


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))
