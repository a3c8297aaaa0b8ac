# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of rotation, and of what fills the disk for want of it."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels

MIB, GIB = 1024**2, 1024**3
_RUN = "logrotate --debug /etc/logrotate.conf"

CHECKS = (
    Check(
        "logs.rotation_errors",
        "Errors in the configuration of logrotate",
        "logrotate cannot use a part of its configuration. A file with an error is left out as a whole, so the other "
        "logs in it are not rotated either.",
        "Correct the file and try it with 'logrotate --debug /etc/logrotate.conf'.",
        _RUN,
    ),
    Check(
        "logs.rotation_files",
        "Configuration files that logrotate ignores",
        "A file in /etc/logrotate.d has a name, an owner or a mode with which logrotate does not read it.",
        "Give it to root with mode 0644, or rename it; remove it if it is a leftover.",
        "/etc/logrotate.conf and what it includes",
    ),
    Check(
        "logs.rotation_duplicates",
        "Logs that two rules name",
        "logrotate takes the first rule and reports the second as an error, with which it leaves out more than that "
        "log.",
        "Name each log in one rule.",
        _RUN,
    ),
    Check(
        "logs.rotation_missing",
        "Logs that are named and not there",
        "A rule without missingok names a log that does not exist, so every run of logrotate ends as failed and real "
        "failures go unseen.",
        "Add missingok to the rule, or take the log out of it.",
        _RUN,
    ),
    Check(
        "logs.rotation_folders",
        "Folders in which logrotate refuses to work",
        "A folder of logs can be written to by others or by a group other than root's, and the rule has no su, so "
        "nothing in it is rotated.",
        "Add 'su USER GROUP' with the folder's owner to the rule, or close the folder.",
        _RUN,
    ),
    Check(
        "logs.rotation_reopen",
        "Programs that are not told of a rotation",
        "A rule renames a log that a program holds open for writing, and neither tells the program nor uses "
        "copytruncate: it goes on writing to the renamed file, and to a deleted one in the end.",
        "Add a postrotate script that has the program reopen its log, or copytruncate.",
        "/etc/logrotate.d and /proc/*/fd",
    ),
    Check(
        "logs.rotation_options",
        "Rules whose settings work against them",
        "A rule keeps no old logs, keeps them for ever, or names them so that two rotations of a day collide.",
        "Set rotate, and with dateext a dateformat as fine as the rotation.",
        "/etc/logrotate.conf and what it includes",
    ),
    Check(
        "logs.rotation_uncompressed",
        "Rotated logs that are not compressed",
        "What rotated logs take that are older than the newest of each log and not compressed. Text shrinks to about a "
        "tenth.",
        "Add compress and delaycompress to the rule, or to /etc/logrotate.conf for all.",
        "/etc/logrotate.d and stat",
        unit="B",
        levels=Levels(info=100 * MIB, warning=GIB),
    ),
    Check(
        "logs.rotation_age",
        "Time since the last run of logrotate",
        "logrotate has not run, or has not come to its end, for this long, and logs grow meanwhile.",
        "Look at 'systemctl status logrotate.timer logrotate.service', or at cron.",
        "/var/lib/logrotate/status",
        unit="s",
        levels=Levels(warning=2 * 86400, critical=8 * 86400),
    ),
    Check(
        "logs.rotation_overdue",
        "Logs whose rotation is overdue",
        "A log was last rotated more than two of its rule's periods ago although logrotate runs.",
        "See what 'logrotate --debug /etc/logrotate.conf' says of it.",
        "/var/lib/logrotate/status",
    ),
    Check(
        "logs.rotation_schedule",
        "What starts logrotate",
        "Nothing starts logrotate, or its last run failed.",
        "systemctl enable --now logrotate.timer, or on a host without systemd start cron and see that its script in "
        "/etc/cron.daily can be run; 'journalctl --unit=logrotate.service' tells of a failed run.",
        "systemctl show logrotate.timer logrotate.service; /etc/cron.daily, /etc/periodic, the tables of cron",
    ),
    Check(
        "logs.large_files",
        "Large logs that nothing rotates",
        "A file in /var/log, or one elsewhere that is a log by its name, its text or its writer, is large and "
        "no rule of logrotate covers it.",
        "Put it under a rule with fleetcare.maintenance.log_rotate, or limit it in the program that writes it "
        "(docker: log-opts max-size).",
        "/proc/self/mountinfo, stat and /proc/*/fd",
        unit="B",
        levels=Levels(warning=16 * MIB, critical=5 * GIB),
    ),
    Check(
        "logs.deleted_open",
        "Deleted files that are still open",
        "Files without a name that a program holds open take space that no listing of files shows.",
        "Have the program reopen its logs, or restart it; until then its space is not free.",
        "/proc/*/fd",
        unit="B",
        levels=Levels(info=16 * MIB, warning=100 * MIB, critical=GIB),
    ),
    Check(
        "logs.journal_use",
        "Share of its file system that the journal takes",
        "What the systemd journal takes of the file system that it lies on.",
        "Set SystemMaxUse in a file of /etc/systemd/journald.conf.d, or remove old entries with "
        "fleetcare.maintenance.log_retention.",
        "/var/log/journal, /run/log/journal",
        unit="%",
        levels=Levels(warning=15, critical=30),
    ),
    Check(
        "logs.journal_limits",
        "Limits of the journal",
        "journald's limit lets the journal take half of its file system or more, the journal is beyond its limit, or "
        "it is lost with every boot.",
        "Set Storage and SystemMaxUse in a file of /etc/systemd/journald.conf.d.",
        "man 5 journald.conf",
    ),
    Check(
        "logs.partition_free",
        "Space for logs",
        "Share of the file system of /var/log that is still free.",
        "docs/runbooks/disk-full-of-logs.md leads to what takes the space.",
        "man 3 statvfs",
        unit="%",
        levels=Levels(warning=15, critical=5, direction="lower"),
    ),
    Check(
        "logs.rotation_rule",
        "Rules that are to be in place",
        "A rule that the inventory asks for is not in place, or cannot be put there.",
        "Run fleetcare.maintenance.log_rotate in a maintenance window; what stands against a rule is in the finding.",
        "/etc/logrotate.d; logrotate --debug",
    ),
    Check(
        "logs.rotation_due",
        "Logs that are due",
        "Logs of a rule that are due by the rule itself, or whose rotation was asked for.",
        "Run fleetcare.maintenance.log_rotate in a maintenance window, or see why nothing starts logrotate.",
        "logrotate --debug; stat",
    ),
)
