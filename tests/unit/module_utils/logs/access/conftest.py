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
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.options import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE

Review = Callable[..., dict[str, Any]]


def review_in(state: Path, *paths: Path, **options: Any) -> dict[str, Any]:
    """Run the module's work as Ansible would; each run remembers for the next."""
    params: dict[str, Any] = {name: argument.get("default") for name, argument in ARGUMENTS.items()}
    params.update(levels={}, checks=[], state_dir=str(state), state_consumer="test", state_acknowledged=None)
    params.update(first_hours=0, max_bytes=2**31, logs=[{"path": str(path)} for path in paths])
    params.update(options)
    return perform(
        check,
        params=params,
        check_mode=False,
        name="access_log_review",
        catalogue=CATALOGUE,
        repair=False,
        clock=Clock(),
    )


@pytest.fixture
def review(tmp_path: Path) -> Review:
    def run(*paths: Path, **options: Any) -> dict[str, Any]:
        return review_in(tmp_path / "state", *paths, **options)

    return run


def of(result: dict[str, Any], check_id: str, item: str = "") -> dict[str, Any]:
    """The first finding of a check, of an item where one is named."""
    return next(
        finding
        for finding in result["findings"]
        if finding["check"] == f"logs.{check_id}" and (not item or finding["item"].endswith(item))
    )


def line(
    target: str = "/",
    *,
    status: int = 200,
    size: object = 1000,
    address: str = "203.0.113.5",
    method: str = "GET",
    user: str = "-",
    agent: str = "Mozilla/5.0",
    referrer: str = "-",
    seconds: str = "0.010",
) -> str:
    return (
        f'{address} - {user} [02/Mar/2026:10:00:00 +0000] "{method} {target} HTTP/1.1" {status} {size} "{referrer}" '
        f'"{agent}" {seconds}\n'
    )


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines), encoding="utf-8")
    return path
