# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of every PostgreSQL cluster, the rows that the topics bring, and what the repairs say."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.repairs import REPAIRS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.topics import TOPICS

CATALOGUE = Catalogue("postgresql", [*(check for topic in TOPICS for check in topic.checks), *REPAIRS])
