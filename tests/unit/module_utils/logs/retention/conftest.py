# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of logs with generations, and a retention in a world where nobody has anything open."""

from __future__ import annotations

import json
import os
from datetime import timedelta

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import Descriptors, OpenFile
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.policy import (
    ARGUMENTS,
    POLICY_ARGUMENTS,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.retain import World, retain

DEFAULTS = {**{name: spec.get("default") for name, spec in POLICY_ARGUMENTS.items()}, "max_bytes": 0}


class Quiet(World):
    """Nobody has anything open, until somebody has."""

    def __init__(self):
        self.files, self.unseen, self.whole, self.looks, self.when = [], (), True, 0, {}

    def descriptors(self):
        self.looks += 1
        self.when.get(self.looks, lambda: None)()
        return Descriptors(tuple(self.files), self.unseen, self.whole)

    def opens(self, path):
        facts = os.stat(path)
        self.files.append(
            OpenFile(812, "shopd", 3, str(path), facts.st_dev, facts.st_ino, facts.st_size, 4096, facts.st_nlink, True)
        )


@pytest.fixture
def world():
    return Quiet()


@pytest.fixture
def logs(tmp_path, still):
    """``app.log`` with generations of 30, 60, ... 180 days."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "app.log").write_text("live")
    for number in range(1, 7):
        make(folder / f"app.log.{number}", still, days=30 * number)
    return folder


def make(path, still, *, days, text="old"):
    path.write_text(text)
    moment = (still.now() - timedelta(days=days)).timestamp()
    os.utime(path, (moment, moment))
    return path


@pytest.fixture
def run(run_repair, world, logs):
    def run(*, check=False, clock=None, policy=None, **given):
        entries = policy if policy is not None else [{"class": "application", "paths": [str(logs)]}]
        return run_repair(
            lambda context: retain(context, world=world),
            ARGUMENTS,
            check=check,
            clock=clock,
            policy=[{**DEFAULTS, **entry} for entry in entries],
            **{"budget_bytes": 0, "keep_newest": 1, "budget_percent": 100, **given},
        )

    return run


def targets(result, key="applied"):
    return [os.path.basename(entry["target"]) for entry in result[key]]


def reasons(result):
    return {os.path.basename(entry["target"]): entry["reason"] for entry in result["kept"]}


def manifest(tmp_path):
    lines = (tmp_path / "state/log_retention/2026-03.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
