# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of retention."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check

CHECKS = (
    Check(
        "logs.retention",
        "Rotated logs past their retention",
        "Rotated files of a class that are older, or more, than the policy lets be.",
        "Run fleetcare.maintenance.log_retention in a maintenance window; what it keeps stands under 'kept', with the "
        "reason.",
        "lstat and /proc/*/fd; man 2 unlinkat",
    ),
    Check(
        "logs.retention_folder",
        "Folders of the retention policy",
        "A folder that the policy names is missing, is reached through a symbolic link, or cannot be read as a whole, "
        "so nothing is known of its logs.",
        "Correct the path in the policy, or run as root.",
        "man 2 openat",
    ),
    Check(
        "logs.retention_overdue",
        "Rotated logs that are kept beyond their retention",
        "Rotated files that the policy wants gone and that something keeps: a hold, an open file, a second name, the "
        "floor, or the budget of a run.",
        "See 'kept' in the result: end the hold, have the program reopen its log, or let the next run go on.",
        "lstat and /proc/*/fd",
    ),
    Check(
        "logs.retention_hold",
        "Legal holds that hold nothing",
        "A glob of 'hold' matches nothing in the folders of the policy: what it was meant to hold may be called "
        "otherwise, and is not held.",
        "Correct the glob, or take it out where what it held is gone.",
        "man 7 glob",
    ),
    Check(
        "logs.retention_journal",
        "Journal past its retention",
        "Archived files of the systemd journal that are older, or more, than the policy lets be.",
        "Run fleetcare.maintenance.log_retention in a maintenance window, or set MaxRetentionSec and SystemMaxUse in "
        "journald.conf.",
        "/var/log/journal; man 1 journalctl",
    ),
)
