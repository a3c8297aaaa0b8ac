# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of this subject: each package has its own table of checks, and they come together here."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access import checks as access
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import checks as auth
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import checks as reading
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention import checks as retention
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review import checks as review
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation import checks as rotation

CATALOGUE = Catalogue(
    "logs",
    [
        *reading.CHECKS,
        *access.CHECKS,
        *auth.CHECKS,
        *retention.CHECKS,
        *rotation.CHECKS,
        *review.CHECKS,
    ],
)
