# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All rules."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules import (
    agents,
    commands,
    files,
    inclusion,
    scanners,
    scripting,
    sql,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.rule import Rule

RULES: Sequence[Rule] = (
    *sql.RULES,
    *scripting.RULES,
    *files.RULES,
    *inclusion.RULES,
    *commands.RULES,
    *scanners.RULES,
    *agents.RULES,
)
