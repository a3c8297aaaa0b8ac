# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of logs: each package beside this file brings a table of its own."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.checks import CHECKS as AUTH
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.checks import CHECKS as READING

CATALOGUE = Catalogue("logs", [*READING, *AUTH])
