# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: the action in front of every module of the collection.

It alone knows windows, freezes, suppressions, owners and the journal, so that modules know none of it and a playbook
that calls a single module gets all of it.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.passage import Passage


class ActionModule(ActionBase):
    """Settings and levels in, module, record out."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._task.async_val:
            raise AnsibleActionFail(
                "Option 'async' cannot be used with the modules of fleetcare.maintenance: the result would never "
                "reach the journal. Use forks or the free strategy to run hosts side by side."
            )
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            result.update(Passage(self, task_vars or {}).walk())
        except MaintenanceError as error:
            result.update(failed=True, msg=str(error))
        return result
