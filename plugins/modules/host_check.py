#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health of a Linux host in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Check the health of a Linux host
description:
  - Looks at file systems, processors, memory, disks, network interfaces, units, timers, processes, the clock and what
    waits for a reboot, in one call and in one pass over C(/proc) and C(/sys).
  - Rates come from two samples, O(sample_seconds) apart. Counters of rare events, such as network errors, OOM kills
    and restarts of units, are compared with the last run, whose figures the module keeps in O(state_dir).
  - What cannot be looked at is reported as V(skipped) or V(unknown) with the reason, and never as V(ok).
  - Needs nothing on the host but Python. Root sees more than others; what others miss is reported.
version_added: 0.1.0
author:
  - fleetcare.maintenance contributors (@fleetcare)
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.check_options
  - fleetcare.maintenance.common_options
attributes:
  check_mode:
    support: full
    details: The module only looks. In check mode it does not write down its figures for the next run either.
  diff_mode:
    support: N/A
    details: The module changes nothing.
  idempotent:
    support: full
options:
  sample_seconds:
    description:
      - Seconds between the two samples, from 0.1 to 60.
      - Nothing is waited for when no chosen check needs two samples.
    type: float
    default: 1.0
  mounts_exclude:
    description: Globs of mount points that are left out.
    type: list
    elements: str
    default:
      - /proc/*
      - /sys/*
      - /run/credentials/*
      - /run/user/*
      - /run/docker/*
      - /run/containerd/*
      - /snap/*
      - /var/lib/docker/*
      - /var/lib/containers/*
      - /var/lib/kubelet/*
  mounts_timeout:
    description: Seconds that all network file systems together get to answer, from 0.1 to 300.
    type: float
    default: 5.0
  reference_size:
    description:
      - Size of the file system for which the levels of C(host.disk_bytes) are meant as they stand.
      - The share that may stay free is multiplied by C((size / reference_size) ** (magic - 1)), so 90 % of 20 GiB
        become 97.5 % of 20 TiB. A level is never scaled below 70 %.
      - Levels that a user has set for C(host.disk_bytes) are not scaled.
    type: bytes
    default: 20G
  magic:
    description: How much levels follow the size, above 0 and up to 1. With V(1) they do not.
    type: float
    default: 0.8
  free_enough:
    description: Bytes that are enough to have free, however high the percentage in use. V(0) turns this off.
    type: bytes
    default: "0"
  free_floor:
    description:
      - Bytes below which a file system is critical, however low the percentage in use. At most a tenth of the size
        counts.
    type: bytes
    default: 256M
  interfaces_exclude:
    description: Globs of network interfaces that are left out.
    type: list
    elements: str
    default:
      - lo
      - ifb*
      - veth*
      - docker*
      - br-*
      - virbr*
      - vnet*
      - tap*
      - cali*
      - cni*
      - flannel*
      - lxc*
      - podman*
  units_exclude:
    description: Globs of systemd units that are left out.
    type: list
    elements: str
    default: []
  needrestart:
    description:
      - Whether to ask the tool needrestart too, which knows about processor microcode and takes some seconds.
      - It needs root.
    type: bool
    default: false
seealso:
  - module: fleetcare.maintenance.service_check
"""

EXAMPLES = r"""
- name: Ask everything
  fleetcare.maintenance.host_check:

- name: Ask for space alone, with levels of our own for the archive
  fleetcare.maintenance.host_check:
    checks:
      - disk_*
      - "!disk_io"
    levels:
      host.disk_bytes[/srv/archive]:
        warning: 97
        critical: 99

- name: Alarm of a busy processor when three runs in a row have found one
  fleetcare.maintenance.host_check:
    checks: [cpu]
    sample_seconds: 5
    levels:
      host.cpu:
        warning: 85
        for: 3
"""

RETURN = r"""
status:
  description: The worst status of all findings, V(ok), V(skipped), V(info), V(warning), V(unknown) or V(critical).
  returned: always
  type: str
  sample: warning
summary:
  description: How many findings there are of which status, worst first.
  returned: always
  type: str
  sample: "41 findings: 1 warning, 3 skipped, 37 ok"
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
      sample: host.disk_bytes
    item:
      description: What was looked at, such as a mount point, an interface or a unit.
      returned: always
      type: str
      sample: /var
    status:
      description: The status of this finding.
      returned: always
      type: str
      sample: warning
    summary:
      description: The finding in a sentence, with value, unit and levels.
      returned: always
      type: str
      sample: "/var in use: 86.2 % (warning from 85 %, critical from 90 %); 2.7 GiB of 20 GiB free"
    value:
      description: The measurement.
      returned: where there is one
      type: float
      sample: 86.2
    unit:
      description: Unit of the measurement; empty for a count.
      returned: where there is a measurement
      type: str
      sample: "%"
    levels:
      description:
        - The levels in force, with C(direction) (V(upper) or V(lower)) and C(for) (runs in a row) where it is above 1.
      returned: where there are levels
      type: dict
      sample: {"warning": 85, "critical": 90, "direction": "upper"}
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
      sample: host.disk_available
    item:
      description: Of what it was measured.
      returned: always
      type: str
      sample: /var
    value:
      description: The number.
      returned: always
      type: float
      sample: 2899102924
    unit:
      description: Its unit; empty for a count.
      returned: always
      type: str
      sample: B
changed:
  description: Always V(false).
  returned: always
  type: bool
  sample: false
state_generation:
  description: Names what this run has written down for the next one.
  returned: unless in check mode or where nothing could be written
  type: str
  sample: 9f86d081884c7d65
state_error:
  description: Why nothing could be read from, or written for, another run.
  returned: when that is so
  type: str
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.check import ARGUMENTS, check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.checks import CATALOGUE


def main() -> None:
    run(check, argument_spec=ARGUMENTS, catalogue=CATALOGUE)


if __name__ == "__main__":
    main()
