# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of one module in a process of its own, so that its time has Python's start in it, and its memory is its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible

from ansible_collections.fleetcare.maintenance.tests.images.controller import ROOT

#: On a managed host it is the distribution's Python that runs modules; what they need of Ansible comes with them.
PYTHON = shutil.which("python3", path=os.defpath) or sys.executable
_LIBRARY = Path(ansible.__file__).parents[1]
_PROGRAM = """
import gc, importlib, json, sys
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import (
    CHECK_ARGUMENTS, COMMON_ARGUMENTS, perform)
given = json.load(sys.stdin)
package = 'ansible_collections.fleetcare.maintenance.plugins.module_utils.' + given['package']
work = importlib.import_module(package + '.check').check
arguments = importlib.import_module(package + '.options').ARGUMENTS
catalogue = importlib.import_module(package.rpartition('.')[0] + '.checks').CATALOGUE
spec = {**COMMON_ARGUMENTS, **CHECK_ARGUMENTS, **arguments}
params = ArgumentSpecValidator(spec).validate(given['params']).validated_parameters
gc.freeze()
result = perform(work, params=params, check_mode=given['check_mode'], name=given['name'], catalogue=catalogue,
                 repair=False, clock=Clock())
status = open('/proc/self/status').read()
peak = int(status.partition('VmHWM:')[2].split()[0])
json.dump({**{key: result.get(key) for key in given['keys']}, 'peak_mib': peak / 1024}, sys.stdout)
"""


def perform_alone(
    package: str, *, name: str, params: Mapping[str, Any], keys: list[str], check_mode: bool = False
) -> dict[str, Any]:
    """The wanted ``keys`` of the result of a checking module, and ``peak_mib``, the peak memory of its process in MiB.

    The kernel counts it from the start of the program (VmHWM, proc(5)); what getrusage(2) tells begins with whoever
    started it.

    ``package`` is the one of ``module_utils`` that holds ``check.py`` and ``options.py``, such as ``logs.review``.
    """
    asked = {"package": package, "name": name, "params": params, "keys": keys, "check_mode": check_mode}
    done = subprocess.run(
        [PYTHON, "-c", _PROGRAM],
        input=json.dumps(asked),
        # Libraries are compiled once and not in each round, whatever the environment says.
        env={**os.environ, "PYTHONPATH": f"{ROOT / '.cache/collections'}:{_LIBRARY}", "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)
