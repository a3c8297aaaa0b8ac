# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether logs could be read at all, and all of them: without these a "no errors" would mean nothing."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels

CHECKS = (
    Check(
        id="logs.readable",
        title="Logs can be read",
        meaning="What was named is a plain file, a journal, or the log of a container or a server, and may be read.",
        remedy="Run with become; name the plain file and not a link to it; see that the program writes its log.",
        source="open(2) with O_NOFOLLOW; journalctl(1); Docker Engine API; performance_schema.error_log",
    ),
    Check(
        id="logs.lost",
        title="Lines that were gone before they were read",
        meaning="The place where the last run stopped is no longer there: more rotations than pieces are kept, a log "
        "emptied or replaced, a journal or a container's log cut, a server's table overwritten. A count over such a "
        "span is too low.",
        remedy="Keep more pieces (logrotate's rotate, journald's SystemMaxUse=, the log driver's max-file), or review "
        "more often.",
        source="device, inode, offset and fingerprints of the last run; journalctl --after-cursor; known entries",
    ),
    Check(
        id="logs.behind",
        title="Lines left for the next run",
        meaning="The budget of bytes was spent before the end of the log. What is left is read by the next runs.",
        remedy="Raise max_bytes, or find out why so much is written.",
        source="the option max_bytes",
        unit="B",
        levels=Levels(info=1),
    ),
    Check(
        id="logs.skipped_lines",
        title="Lines that were not understood whole",
        meaning="Lines longer than 64 KiB, of which only the beginning is looked at, and lines that do not have the "
        "format of their log, as a share of all new lines.",
        remedy="Look at the examples; a log of another format, or a binary file, needs another option.",
        source="the lines themselves",
        unit="%",
        levels=Levels(info=1, warning=10),
    ),
)
