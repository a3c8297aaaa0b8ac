#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_rotate
short_description: Put logs under logrotate, and rotate those that are due
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Writes rules to C(/etc/logrotate.d), each tried with C(logrotate --debug) before it is put in place and once more
    within the whole configuration afterwards. One that logrotate then objects to is taken back.
  - A rule is refused when another one names one of its logs already, when its folder is open to others without
    O(rules[].run_as), and when a program holds a log open, in a container too, and would not learn of its rotation.
  - A rule that is as it is wanted and that logrotate does not read, for its mode or its owner, is written anew.
  - Rotates the logs of the rules in O(rotate) that are due by their own rule, and those in O(force) without waiting for
    that. A rule is handed to logrotate with all that C(/etc/logrotate.conf) says before it.
  - A rotation has succeeded when the file system shows it.
  - The text that a rule had before stands in the result and as a whole in a backup.
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
  rules:
    description: The rules that are to be in place, or not to be there.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the rule's file in C(/etc/logrotate.d).
        type: str
        required: true
      state:
        description: Whether the rule is to be there. Only a rule that this module wrote is removed.
        type: str
        choices: [present, absent]
        default: present
      paths:
        description:
          - The logs, as absolute paths or globs. A glob that would match rotated logs too is refused, and so is one
            that ends in less than three letters behind its last wildcard.
          - Files of the system are refused. Below C(/home), C(/root), C(/usr), C(/var/cache), C(/var/lib) and
            C(/var/spool) a file has to be called like a log, or to lie in a folder C(log) or C(logs).
          - Needed for a rule that is to be there.
        type: list
        elements: str
        default: []
      frequency:
        description: How often its logs are rotated. logrotate itself has to be started as often.
        type: str
        choices: [hourly, daily, weekly, monthly]
        default: weekly
      keep:
        description: How many old logs are kept, from 1 to 10000.
        type: int
        default: 12
      max_size:
        description: From which size on a log is rotated before its time. V(0) is never.
        type: bytes
        default: "0"
      max_age_days:
        description: After how many days old logs are removed whatever their number. V(0) is never.
        type: int
        default: 0
      compress:
        description: Whether old logs are compressed, all but the newest.
        type: bool
        default: true
      date_names:
        description: Whether old logs are named by their date instead of by a number.
        type: bool
        default: false
      copy_truncate:
        description:
          - Whether the log is copied and cut off instead of being renamed, for programs that cannot be told.
          - Lines that are written in between are lost.
        type: bool
        default: false
      tell:
        description: Which unit is told to reopen its logs after they were renamed. One that does not run is left alone.
        type: dict
        suboptions:
          unit:
            description: The unit.
            type: str
            required: true
          signal:
            description:
              - The signal that its main process gets, V(HUP), V(USR1), V(USR2), V(TERM) or V(WINCH).
              - Without it the unit is reloaded.
            type: str
      reopens:
        description: Says that whoever writes to the logs notices a rotation by itself.
        type: bool
        default: false
      create:
        description:
          - Mode, owner and group of the new log, such as V(0640 shop adm). By default those of the old one.
        type: str
      run_as:
        description: User and group as whom logrotate works, such as V(shop adm), for a folder that others write to.
        type: str
      replace:
        description: Whether a rule of this name that somebody else wrote is replaced.
        type: bool
        default: false
  rotate:
    description:
      - Names of rules, of O(rules) or any other in C(/etc/logrotate.d), whose logs are rotated where they are due.
      - Rules that are not named are left to logrotate's own schedule.
    type: list
    elements: str
    default: []
  force:
    description:
      - Names of rules whose logs are rotated now, whether they are due or not. Empty logs are not.
      - Each rotation takes the place of a later one and pushes the oldest log out.
    type: list
    elements: str
    default: []
  force_pause_seconds:
    description: How long a rule that was rotated by O(force) is not rotated by it again, from 60.
    type: int
    default: 3600
notes:
  - Backups lie in C(log_rotate) in O(state_dir), with the rule's name and the time in theirs. Copy one back to undo.
seealso:
  - module: fleetcare.maintenance.log_rotation_check
  - module: fleetcare.maintenance.log_retention
"""

EXAMPLES = r"""
- name: Rotate the logs of the campus application, and now if they are due
  fleetcare.maintenance.log_rotate:
    rules:
      - name: smart-campus
        paths: [/srv/smart-campus/logs/*.log]
        frequency: daily
        keep: 30
        max_size: 100M
        copy_truncate: true
    rotate: [smart-campus]

- name: Rename the logs of a web server and have it reopen them
  fleetcare.maintenance.log_rotate:
    rules:
      - name: campus-web
        paths: [/srv/campus-web/logs/access.log, /srv/campus-web/logs/error.log]
        frequency: daily
        keep: 14
        date_names: true
        tell: {unit: nginx.service, signal: USR1}

- name: Rotate dpkg's log before a large update
  fleetcare.maintenance.log_rotate:
    force: [dpkg]
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
      sample: logs.rotation_rule
    item:
      description: What was looked at.
      returned: always
      type: str
      sample: smart-campus
    status:
      description: The status of this finding.
      returned: always
      type: str
      sample: info
    summary:
      description: The finding in a sentence.
      returned: always
      type: str
      sample: "the rule is to be written: there is no such rule"
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
  description: What is needed, rules first. A real run carries out exactly this.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: V(write) or V(remove) for a rule, V(rotate) for the logs of one.
      returned: always
      type: str
      sample: write
    target:
      description: The file of the rule.
      returned: always
      type: str
      sample: /etc/logrotate.d/smart-campus
    reason:
      description: Why it is needed.
      returned: always
      type: str
      sample: there is no such rule
    reversible:
      description: Whether it can be taken back, which a rotation cannot.
      returned: always
      type: bool
    estimate:
      description: How many C(logs) it is about, and for a rotation how many C(bytes).
      returned: always
      type: dict
applied:
  description: What was done, and seen to be done.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was done.
      returned: always
      type: str
    target:
      description: The file of the rule.
      returned: always
      type: str
    before:
      description:
        - Of a rule its C(lines) before, whether it was C(present), and the C(backup) on the host.
        - Of a rotation C(path), C(bytes) and C(inode) of each of its C(logs).
      returned: always
      type: dict
    after:
      description: The same afterwards, without the backup.
      returned: always
      type: dict
    seconds:
      description: How long it took.
      returned: always
      type: float
failures:
  description: What failed, with the error.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was to be done.
      returned: always
      type: str
    target:
      description: The file of the rule.
      returned: always
      type: str
    error:
      description: Why it failed.
      returned: always
      type: str
    done:
      description: Whether something was changed all the same, as where some of several logs were rotated.
      returned: always
      type: bool
kept:
  description: The rules that were left alone, with the reason.
  returned: always
  type: list
  elements: dict
  sample: [{"target": "/etc/logrotate.d/smart-campus", "reason": "none of its logs is due"}]
diff:
  description: The rules before and after; in check mode what is planned for them.
  returned: always
  type: dict
state_error:
  description: Why the module could not read or write its memory.
  returned: when it could not
  type: str
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.rotate import ARGUMENTS, rotate


def main() -> None:
    run(rotate, argument_spec=ARGUMENTS, catalogue=CATALOGUE, repair=True)


if __name__ == "__main__":
    main()
