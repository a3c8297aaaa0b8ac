# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gate itself has to say: the checks of the pseudo-subject ``maintenance``."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue, Check

CATALOGUE = Catalogue(
    "maintenance",
    [
        Check(
            id="maintenance.reachable",
            title="Host answers",
            meaning="The host could not be reached or its Python could not be started, so nothing on it was looked at.",
            remedy="Look at the host's power and network, then try `ansible <host> -m ansible.builtin.ping`.",
            source="the connection plugin's error",
        ),
        Check(
            id="maintenance.fault",
            title="Modules can run",
            meaning="A module failed: wrong options, a missing library, or a fault of the collection. What it would "
            "have looked at is not known.",
            remedy="Read the sentence; fix the option or run fleetcare.maintenance.bootstrap for missing libraries.",
            source="the module's own message",
        ),
        Check(
            id="maintenance.window",
            title="Repairs keep to their window",
            meaning="A repair was due outside every maintenance window or inside a freeze, and was not run.",
            remedy="Run it inside the window, or set maintenance_override with a reason, which is recorded.",
            source="maintenance_windows, maintenance_freezes, maintenance_holidays",
        ),
        Check(
            id="maintenance.state",
            title="State can be kept",
            meaning="The module could not read or write what it remembers between runs, so changes since the last run "
            "are not known.",
            remedy="Make room in the state folder, or give it back to the user who runs the modules.",
            source="the state folder on the host",
        ),
        Check(
            id="maintenance.record",
            title="Every host has a record",
            meaning="A host of the run has no record: its run was cut off or it was left out.",
            remedy="Run the cadence again for this host and read the console of this run.",
            source="run.json against the hosts' files in the journal",
        ),
        Check(
            id="maintenance.subjects",
            title="Something to look after",
            meaning="Of all that the cadence looks after the host has nothing, so nothing on it was looked at.",
            remedy="Where there should be something, run with become, or put the host into the subject's group "
            "(postgresql).",
            source="what discover found, and the cadence's playbook",
        ),
    ],
)
