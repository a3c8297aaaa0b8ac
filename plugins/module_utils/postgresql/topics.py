# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All topics of this subject in the order in which their findings come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import (
    archive,
    audit,
    bloat,
    configuration,
    growth,
    horizon,
    identity,
    index_hit,
    index_use,
    indexes,
    integrity,
    io,
    locks,
    replication,
    rights,
    sequences,
    sessions,
    sizes,
    slots,
    statements,
    subscriptions,
    triggers,
    vacuum,
    versions,
    wal,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Collector,
    Question,
    Snapshot,
    Topic,
    written_down,
)

TOPICS: tuple[Topic, ...] = (
    sessions.TOPIC,
    locks.TOPIC,
    horizon.TOPIC,
    vacuum.TOPIC,
    indexes.TOPIC,
    index_use.TOPIC,
    sequences.TOPIC,
    integrity.TOPIC,
    triggers.TOPIC,
    statements.TOPIC,
    io.TOPIC,
    index_hit.TOPIC,
    wal.TOPIC,
    archive.TOPIC,
    replication.TOPIC,
    slots.TOPIC,
    subscriptions.TOPIC,
    identity.TOPIC,
    configuration.TOPIC,
    versions.TOPIC,
    audit.TOPIC,
    rights.TOPIC,
    bloat.TOPIC,
    growth.TOPIC,
    sizes.TOPIC,
)

QUESTIONS: Mapping[str, tuple[Question, tuple[str, ...]]] = {
    check: question for topic in TOPICS for check, question in topic.questions.items()
}
CLUSTER: Mapping[str, Collector] = {name: found for topic in TOPICS for name, found in topic.cluster.items()}
DATABASE: Mapping[str, Collector] = {name: found for topic in TOPICS for name, found in topic.database.items()}


def remember(snapshot: Snapshot, memory: Mapping[str, Any]) -> dict[str, Any]:
    """What the next run has to know of this cluster; ``memory`` is what this one knew."""
    entries = [entry for topic in TOPICS for entry in (topic.remember(snapshot), topic.carry(snapshot, memory))]
    return {name: written_down(data, snapshot.server) for found in entries for name, data in found.items()}
