# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for service_recover: a repair that makes files, one a step, through the real runner and planner."""

from __future__ import annotations

import os
import time

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue, Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Effect, Step, execute
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result, run

CATALOGUE = Catalogue(
    "services", [Check(id="services.recovery", title="Files", meaning="", remedy="", source="the folder")]
)


def recover(context: Context) -> Result:
    missing = [path for path in context.params["files"] if not os.path.exists(path)]
    plan = [Step(action="make", target=path, reason="it is not there", reversible=True) for path in missing]
    result = Result(plan=plan, extra={"deadline_given": context.params["deadline"] or ""})

    def act(step: Step) -> Effect:
        time.sleep(context.params["seconds"])
        with open(step.target, "x", encoding="utf-8"):
            pass
        return Effect({"exists": False}, {"exists": os.path.exists(step.target)})

    if not context.check_mode:
        result.execution = execute(plan, act, deadline=context.deadline)
    result.findings.append(CATALOGUE.stated("services.recovery", "files", "ok", f"{len(missing)} were missing"))
    return result


if __name__ == "__main__":
    run(
        recover,
        argument_spec={
            "files": {"type": "list", "elements": "path", "required": True},
            "seconds": {"type": "float", "default": 0},
        },
        catalogue=CATALOGUE,
        repair=True,
    )
