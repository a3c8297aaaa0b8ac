# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of logs, from the tables of the packages that make them."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.checks import CHECKS as RETENTION
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.checks import CHECKS as ROTATION
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.checks import RULES

CATALOGUE = Catalogue("logs", [*ROTATION, *RULES, *RETENTION])
