# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the tests how each task ended: one JSON line a result, in the file that OUTCOMES names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


def _words(value: dict[str, Any]) -> str:
    """What a task said; of one that broke also where: the end of the innermost traceback."""
    said = str(value.get("fault") or value.get("msg", ""))
    innermost = str(value.get("exception", "")).strip().partition("\n\n")[0]
    return "\n".join([said, *innermost.splitlines()[-3:]]) if innermost.startswith("Traceback") else said


class CallbackModule(CallbackBase):
    """Notes task, action, how it ended, its message and the keys of its result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "outcomes"
    CALLBACK_NEEDS_ENABLED = True

    def _note(self, kind: str, result: Any) -> None:
        task, value = result._task, result._result
        outcome = {
            "task": task.get_name().rsplit(" : ", 1)[-1],
            "action": task.resolved_action or task.action,
            "kind": kind,
            "msg": _words(value),
            "keys": sorted(value),
        }
        with Path(os.environ["OUTCOMES"]).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(outcome) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._note("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._note("failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._note("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._note("unreachable", result)
