#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_retention
short_description: Remove rotated logs that a policy no longer keeps, and prove what went
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Removes rotated generations of logs by age, number or size, class by class, and keeps a manifest of what went.
  - Only names that a rotation gave are ever removed, such as C(app.log.3), C(app.log.2.gz) and
    C(app.log-20260131.gz), and only where the log is called like one. The log itself never is, nor is a file that does
    not fit any such form.
  - A file stays whatever its age while a process has it open, while it has a second name (hard link), while it is
    held, while it is one of the newest of its log, and while it is younger than the floor.
  - The age of a file is that of the day in its name or of its last change, whichever is younger.
  - Folders are walked by descriptors. No symbolic link is followed, not even above a folder of the policy, and no
    other file system is entered. Right before its removal a file is looked at again, and stays when anything about it
    or its folder has changed.
  - Audit records are never removed.
  - Check mode makes the same plan that a real run then carries out.
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.common_options
  - fleetcare.maintenance.repair_options
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  policy:
    description:
      - The classes of logs with their folders. A folder below another is judged by its own entry alone.
      - At least one class is given, unless O(journal) is.
    type: list
    elements: dict
    default: []
    suboptions:
      class:
        description:
          - Name of the class. V(application) is kept for 90 days, V(database) for 30 and V(system) for 365.
          - Nothing is ever removed of class V(audit). C(/var/log/audit), C(/var/log/sudo-io) and C(/var/log/tlog)
            always belong to it.
          - Any other name is possible, with O(policy[].days).
        type: str
        required: true
      paths:
        description:
          - The folders, absolute and without symbolic links. Folders of the system itself are refused, and so is the
            data of a database.
          - Below C(/home), C(/root), C(/usr), C(/var/cache), C(/var/lib) and C(/var/spool) only folders that are called
            C(log) or C(logs), such as C(/home/shop/logs), and what is below such.
        type: list
        elements: path
        required: true
      days:
        description: How many days a rotated file is kept, at least O(policy[].keep_days).
        type: float
      keep_newest:
        description: O(keep_newest) of this class, where it differs.
        type: int
      keep_days:
        description: O(keep_days) of this class, where it differs.
        type: float
      max_files:
        description: How many rotated files of a log are kept, whatever their age. V(0) is no limit.
        type: int
        default: 0
      max_bytes:
        description: How much the rotated files of a log may take, whatever their age. V(0) is no limit.
        type: bytes
        default: "0"
      exclude:
        description:
          - Globs of whole paths that are left out, files, folders with all below, or logs with their generations.
            They begin with V(/) or V(*).
        type: list
        elements: str
        default: []
      names:
        description:
          - Globs of names of logs that are not called like one, such as V(worker) for C(worker.1) and C(worker.2.gz).
          - Without being named, a log is known by an ending such as C(.log), C(_log), C(.err) or C(.out), or by a name
            that syslog uses, such as C(messages).
        type: list
        elements: str
        default: []
      recurse:
        description: Whether the folders below are walked too, up to 16 levels deep.
        type: bool
        default: true
  journal:
    description:
      - What is kept of the systemd journal on the disk. Nothing of it is removed when this is not given.
      - Only archived files go, oldest first. A file is as old as the last entry in it.
      - journald removes the oldest files and can leave out none, so the first that is held, or that the rest of
        O(budget_files) and O(budget_bytes) has no room for, ends the run. O(budget_percent) is of rotated logs alone.
    type: dict
    suboptions:
      days:
        description: How many days are kept, at least O(keep_days).
        type: float
      max_bytes:
        description: How much a folder of the journal may take, at least V(16M). O(keep_days) comes first.
        type: bytes
  hold:
    description:
      - Globs of whole paths that are under a legal hold, files or folders. What they match is never removed, and
        neither is anything below it, nor a generation of a log that they match. They begin with V(/) or V(*).
      - One that matches nothing is told as a warning.
      - On the host a file C(.hold) holds its folder with all below, folders of the policy too. C(app.log.hold) holds
        all generations of C(app.log), and C(app.log.3.hold) that one.
    type: list
    elements: str
    default: []
  keep_newest:
    description: How many of the newest rotated files of a log stay whatever else is said, at least 1.
    type: int
    default: 2
  keep_days:
    description: For how many days everything stays whatever else is said, at least 1.
    type: float
    default: 7
  budget_files:
    description: How many files a run removes at the most, from 1 to 5000. The oldest go first.
    type: int
    default: 500
  budget_bytes:
    description:
      - How much a run removes at the most. V(0) is no limit.
      - A file that is larger by itself stays, and is told as a warning.
    type: bytes
    default: 50G
  budget_percent:
    description: How many percent of the rotated files that were found a run removes at the most, one file at least.
    type: float
    default: 80
  checksum:
    description: Whether the SHA-256 of each file is taken for the manifest before it is removed. Each is read for it.
    type: bool
    default: false
notes:
  - Only root sees which files are open on the host. For other users nothing is removed, nor where C(/proc) hides
    processes from root too.
  - Nothing is removed from network file systems, for nobody sees which files other hosts have open there. Other file
    systems below a folder of the policy are left alone and told; name their folders in O(policy).
  - The manifest is C(log_retention/YYYY-MM.jsonl) in O(state_dir). A line is on the disk before each removal and one
    after it. Where it cannot be written nothing is removed.
  - What a budget leaves is C(kept), and the next run goes on with it.
seealso:
  - module: fleetcare.maintenance.log_rotate
  - module: fleetcare.maintenance.log_rotation_check
"""

EXAMPLES = r"""
- name: Keep the logs of the library by the guide's policy
  fleetcare.maintenance.log_retention:
    policy:
      - class: application
        paths: [/var/log/sml-library]
      - class: database
        paths: [/var/log/mysql]
      - class: system
        paths: [/var/log]
    hold:
      - /var/log/sml-library/payment*

- name: Keep at most 30 generations of an application's logs and a quarter of the journal
  fleetcare.maintenance.log_retention:
    policy:
      - class: application
        paths: [/srv/campus/logs]
        max_files: 30
    journal:
      days: 92
    checksum: true
"""

RETURN = r"""
status:
  description: The worst status of all findings, V(ok), V(skipped), V(info), V(warning), V(unknown) or V(critical).
  returned: always
  type: str
  sample: ok
summary:
  description: How many findings there are of which status, worst first.
  returned: always
  type: str
  sample: "3 findings: 1 info, 2 ok"
findings:
  description: What each check says of each item.
  returned: always
  type: list
  elements: dict
  contains:
    check:
      description: Id of the check.
      returned: always
      type: str
      sample: logs.retention
    item:
      description: What was looked at.
      returned: always
      type: str
      sample: application
    status:
      description: The status of this finding.
      returned: always
      type: str
      sample: info
    summary:
      description: The finding in a sentence.
      returned: always
      type: str
      sample: "class application: 12 rotated files (3.4 MiB) past retention, to be removed"
    value:
      description: The measurement.
      returned: where there is one
      type: float
    unit:
      description: Unit of the measurement; empty for a count.
      returned: where there is a measurement
      type: str
    levels:
      description: The levels that the measurement was compared with.
      returned: where there are levels
      type: dict
    evidence:
      description: Up to 20 short items that a person would want to see next.
      returned: where there is some
      type: list
      elements: str
    remedy:
      description: What to do about it.
      returned: where something is to be done
      type: str
metrics:
  description: Every number worth keeping for trends.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What was measured.
      returned: always
      type: str
    item:
      description: Of what it was measured.
      returned: always
      type: str
    value:
      description: The number.
      returned: always
      type: float
    unit:
      description: Its unit; empty for a count.
      returned: always
      type: str
plan:
  description: The removals that are due, oldest first. A real run carries out exactly these.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: V(remove) for a file, V(vacuum) for archived files of the journal.
      returned: always
      type: str
      sample: remove
    target:
      description: The file, or the folder of the journal.
      returned: always
      type: str
      sample: /var/log/sml-library/app.log.12.gz
    reason:
      description: Which limit it is beyond.
      returned: always
      type: str
      sample: is 97 days old and is kept for 90 days
    reversible:
      description: Always V(false).
      returned: always
      type: bool
    estimate:
      description: The C(bytes) that become free; for the journal the number of C(files) too.
      returned: always
      type: dict
applied:
  description: What was removed.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was done.
      returned: always
      type: str
    target:
      description: The file, or the folder of the journal.
      returned: always
      type: str
    before:
      description: C(class), C(bytes), C(mtime) and, if it was asked for, C(sha256) of the file.
      returned: always
      type: dict
    after:
      description: C(present) is V(false), as the file system said afterwards.
      returned: always
      type: dict
    seconds:
      description: How long it took.
      returned: always
      type: float
failures:
  description: What could not be removed, with the error.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was to be done.
      returned: always
      type: str
    target:
      description: The file, or the folder of the journal.
      returned: always
      type: str
    error:
      description: Why it failed.
      returned: always
      type: str
    done:
      description: Whether something was removed all the same.
      returned: always
      type: bool
kept:
  description: The files beyond their retention that stay, with the reason. The first 200 are named.
  returned: always
  type: list
  elements: dict
  sample: [{"target": "/var/log/mysql/error.log.9", "reason": "is 40 days old and is kept for 30 days, but it is held"}]
diff:
  description: The files before and after; in check mode what is planned for them.
  returned: always
  type: dict
state_error:
  description: Why the module could not read or write its memory.
  returned: when it could not
  type: str
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.policy import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.retain import retain


def main() -> None:
    run(retain, argument_spec=ARGUMENTS, catalogue=CATALOGUE, repair=True)


if __name__ == "__main__":
    main()
