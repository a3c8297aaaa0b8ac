# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that changes something."""

from __future__ import annotations


class ModuleDocFragment:
    """Documents ``core.runner.REPAIR_ARGUMENTS``."""

    DOCUMENTATION = r"""
options:
  deadline:
    description:
      - The moment at which the module must have stopped, in ISO 8601 with a zone, such as
        V(2026-01-31T04:00:00+00:00).
      - Steps that have not been started by then are left alone and reported under C(kept).
      - The action plugin of this collection fills in the end of the maintenance window. Nothing set means no end.
    type: str
"""
