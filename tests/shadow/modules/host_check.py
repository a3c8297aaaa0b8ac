# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for host_check: a check that finds what its test tells it to, through the real runner."""

from __future__ import annotations

import os
import sys
import time

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue, Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result, run


def check(name: str, levels: Levels | None = None) -> Check:
    return Check(id=f"host.{name}", title=name, meaning="", remedy="", source="", unit="%", levels=levels)


CATALOGUE = Catalogue("host", [check("memory", Levels(warning=80, critical=90)), check("lines"), check("swap")])


def look(context: Context) -> Result:
    """``lines`` counts what was added to a file since the last run, as a log review does."""
    params = context.params
    if params["mark"]:
        with open(params["mark"], "a", encoding="utf-8") as stream:
            stream.write(f"{params['value']}\n")
    if params["wait_for"]:
        # Bounded: a test that kills the controller leaves this module behind.
        given_up = time.monotonic() + 120
        while not os.path.exists(params["wait_for"]) and time.monotonic() < given_up:
            time.sleep(0.01)
    if params["raw"] is not None:
        sys.stdout.write(params["raw"])
        sys.exit(0)
    if params["raw_from"]:
        with open(params["raw_from"], encoding="utf-8") as stream:
            sys.stdout.write(stream.read())
        sys.exit(0)
    if params["fail"]:
        raise MaintenanceError(params["fail"])
    if params["crash"]:
        raise RuntimeError(params["crash"])
    result = Result(metrics=[Metric("host.memory", "memory", params["value"], "%")])
    finding = CATALOGUE.measured("host.memory", params["item"], params["value"], "memory in use", book=context.book)
    result.findings.append(finding)
    if params["log"]:
        with open(params["log"], encoding="utf-8") as stream:
            lines = stream.read().splitlines()
        fresh = lines[context.memory.get("read", 0) :]
        result.findings.append(CATALOGUE.stated("host.lines", params["log"], "info", "new lines", evidence=fresh))
        result.memory = {"read": len(lines)}
    return result


if __name__ == "__main__":
    run(
        look,
        argument_spec={
            "value": {"type": "float", "default": 0},
            "item": {"type": "str", "default": "memory"},
            "raw": {"type": "str"},
            "raw_from": {"type": "path"},
            "fail": {"type": "str"},
            "crash": {"type": "str"},
            "log": {"type": "path"},
            "mark": {"type": "path"},
            "wait_for": {"type": "path"},
        },
        catalogue=CATALOGUE,
    )
