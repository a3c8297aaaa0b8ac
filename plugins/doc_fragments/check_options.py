# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that only looks."""

from __future__ import annotations


class ModuleDocFragment:
    """Documents ``core.runner.CHECK_ARGUMENTS``."""

    DOCUMENTATION = r"""
options:
  checks:
    description:
      - Globs that choose the checks to make, with or without the subject in front. A glob after C(!) takes away.
      - All checks are made when no glob is given. What is not chosen is not measured either.
    type: list
    elements: str
    default: []
"""
