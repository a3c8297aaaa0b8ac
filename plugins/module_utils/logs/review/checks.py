# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions of ``log_review``."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels

CHECKS = (
    Check(
        id="logs.errors",
        title="Errors an hour",
        meaning="Lines whose own level is error or worse, a stack trace counted once, by the hour since the last run "
        "(at least one hour). The words of a message or a path are no level. What is new and worst comes first.",
        remedy="Read the templates under evidence; name what is known and harmless in the option ignore.",
        source="files, journalctl, Docker Engine API",
        levels=Levels(info=1, warning=30, critical=300),
    ),
    Check(
        id="logs.fatal",
        title="Fatal errors since the last run",
        meaning="Lines at a level from critical to emergency, a panic, a segmentation fault, a process that the kernel "
        "killed for want of memory, a program of Node.js that ended with an exception, a server process of PostgreSQL "
        "or MySQL that crashed or was killed. PostgreSQL's own FATAL ends one session and is an error.",
        remedy="Look at the lines around each, and whether the service came back (service_check).",
        source="files, journalctl, Docker Engine API",
        levels=Levels(warning=1, critical=10),
    ),
    Check(
        id="logs.new",
        title="Kinds of errors never seen before",
        meaning="Templates of errors that no earlier run met in this log. The first review of a log only takes stock; "
        "one that appeared since the last review is compared with nothing, and all its errors are new. Fatal ones are "
        "told by logs.fatal, marked as new.",
        remedy="Find out what changed: a release, a configuration, a dependency.",
        source="templates remembered from earlier runs",
        levels=Levels(warning=1),
    ),
    Check(
        id="logs.spike",
        title="Times the usual rate of errors",
        meaning="The rate of a kind of error, or of all errors of a log, against its own average over earlier runs. "
        "Asked from the fourth review of a log on, for kinds that came at least ten times.",
        remedy="Look at what else changed at that time: traffic, a dependency, a deployment.",
        source="rates remembered from earlier runs, newer ones weighing more",
        levels=Levels(warning=5, critical=20),
    ),
    Check(
        id="logs.release",
        title="Kinds of errors that are new since the release",
        meaning="Templates that were met first after the release named in the option release, in this run or in an "
        "earlier one.",
        remedy="Compare with what the release changed; roll back where users are hit.",
        source="templates remembered from earlier runs, with the release under which each was first met",
        levels=Levels(warning=1),
    ),
    Check(
        id="logs.alive",
        title="What is logged arrives",
        meaning="A marker was written, and must come out where it is read: no errors in a log may mean no logging. "
        "The table of a MySQL server's log is fed, and holds that the server started.",
        remedy="See that the log daemon runs and has room (systemctl status systemd-journald rsyslog, df /var/log).",
        source="logger(1) or the command of the option alive; log_error_services, Error_log_latest_write, Uptime",
    ),
)
