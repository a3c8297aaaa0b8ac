#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_rotation_check
short_description: Check whether every log is rotated, and what fills the disk for want of it
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Reads the configuration of logrotate, and has logrotate itself say what it would do with it (C(logrotate --debug),
    which changes nothing).
  - Looks at what starts logrotate, when it ran last, and which logs it should have rotated since.
  - Finds large logs that no rule covers, in C(/var/log) and on every other local file system, deleted files that
    programs still hold open, and what the systemd journal takes and may take.
  - What only root can see is V(skipped) for others, with the reason.
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.common_options
  - fleetcare.maintenance.check_options
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  min_size:
    description: From which size on a file is looked at as a large log, counted in what it takes on the disk.
    type: bytes
    default: 16M
  exclude:
    description: Globs of whole paths, files or folders, that are left out of the walk for large logs.
    type: list
    elements: str
    default: []
  walk_seconds:
    description: Seconds that the walk for large logs may take, from 0.1 to 600. C(/var/log) comes first.
    type: float
    default: 20
  walk_entries:
    description: How many entries of folders the walk for large logs may look at, from 100.
    type: int
    default: 500000
notes:
  - Outside of C(/var/log) a file counts as a log by its name, such as C(*.log), C(*.err) or C(nohup.out), where it ends
    in lines of text. In C(/tmp) and C(/var/tmp), and in homes outside of folders called C(log) or C(logs), a program
    without a terminal has to be writing to it besides. Network file systems, folders of programs and container layers
    are not walked, and no symbolic link is followed.
seealso:
  - module: fleetcare.maintenance.log_rotate
  - module: fleetcare.maintenance.log_retention
"""

EXAMPLES = r"""
- name: Ask everything about rotation
  fleetcare.maintenance.log_rotation_check:

- name: Look for large logs alone, from 100 MiB, not in the archive
  fleetcare.maintenance.log_rotation_check:
    checks: [large_files, deleted_open]
    min_size: 100M
    exclude: [/srv/archive]
    levels:
      logs.large_files:
        warning: 104857600
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
      sample: logs.large_files
    item:
      description: What was looked at.
      returned: always
      type: str
      sample: /srv/shop/logs/app.log
    status:
      description: The status of this finding.
      returned: always
      type: str
      sample: info
    summary:
      description: The finding in a sentence.
      returned: always
      type: str
      sample: "not rotated by any rule: 3.2 GiB (warning from 16 MiB, critical from 5 GiB)"
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
changed:
  description: Always V(false).
  returned: always
  type: bool
  sample: false
state_generation:
  description: Names what this run has written down for the next one.
  returned: where levels ask for several runs in a row
  type: str
state_error:
  description: Why nothing could be read from, or written for, another run.
  returned: when that is so
  type: str
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.check import ARGUMENTS, check


def main() -> None:
    run(check, argument_spec=ARGUMENTS, catalogue=CATALOGUE)


if __name__ == "__main__":
    main()
