#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_check
short_description: Check units, processes and listening ports against what is expected
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Compares what is expected of a host's services with what is there, in one pass that changes nothing.
  - Units are asked for with a single call of C(systemctl show). Ports are read from C(/proc/net), so port 5000 is not
    mistaken for port 50000 and no tool has to be installed.
  - Without any option it reports enabled services that do not run and services that systemd had to restart since the
    last run, and returns the number of listening sockets as metrics.
  - What cannot be looked at is V(skipped) with the reason. Whose socket it is can be seen by root alone.
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.common_options
  - fleetcare.maintenance.check_options
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: It changes nothing.
  idempotent:
    support: full
options:
  units:
    description:
      - Units that must be in a certain state. Each entry is a name or a glob, or a mapping.
      - A name alone must be active. C(.service) is added to a name without a suffix. An alias stands for its unit.
      - The keys of a mapping are C(name) (a name or a glob), C(state) (C(active), the default, or C(inactive)),
        C(enabled) (C(true) or C(false); not looked at when absent), and C(memory_max) (a size such as C(512M); critical
        from there, warning from 90 % of it, unless O(levels) says otherwise).
      - A service of the type oneshot counts as active when it has run and ended well.
    type: list
    elements: raw
    default: []
  processes:
    description:
      - Processes that must run, and how many of them.
      - Zombies are not counted, nor are the module's own process and its ancestors.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The kernel's name of the process, of which it keeps 15 characters.
          - Either this or O(processes[].pattern) is needed.
        type: str
      pattern:
        description: A regular expression searched for in the command line.
        type: str
      user:
        description: The name or number of the user whom it must run as.
        type: str
      min:
        description: The least number of processes. Fewer are critical.
        type: int
        default: 1
      max:
        description: The largest number of processes. More are a warning. Nothing set means no limit.
        type: int
  ports:
    description: Ports on which something must listen, or nothing must.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: The port, from 1 to 65535.
        type: int
        required: true
      protocol:
        description: The protocol. IPv4 and IPv6 are both looked at.
        type: str
        choices: [tcp, udp]
        default: tcp
      state:
        description: Whether something must listen there.
        type: str
        choices: [listening, closed]
        default: listening
      address:
        description:
          - Where it must listen. V(loopback) is for this host alone, and listening elsewhere as well is critical.
            V(any) is all addresses. An IP address is that one, or all.
          - Nothing set means that any address is right.
        type: str
      process:
        description: The name of the process that must hold the port, or a glob.
        type: str
  ports_allowed:
    description:
      - Ports that may be reachable from outside, such as V(22), V(53/udp) or V(8000-8010/tcp). What listens elsewhere
        on an address that is not loopback, and is not among O(ports), is a warning.
      - UDP sockets within the kernel's range for outgoing traffic are left out, for clients hold those.
      - An empty list allows none. Nothing set means that nobody asks.
    type: list
    elements: str
seealso:
  - module: fleetcare.maintenance.service_recover
  - module: fleetcare.maintenance.host_check
"""

EXAMPLES = r"""
- name: Look at enabled services, restarts and listeners
  fleetcare.maintenance.service_check:

- name: Compare the services of a web application with what is expected
  fleetcare.maintenance.service_check:
    units:
      - ssh
      - name: cron.service
        enabled: true
    processes:
      - name: sshd
        user: root
        min: 1
    ports:
      - port: 22
        process: sshd
      - port: 23
        state: closed
    ports_allowed:
      - "22"
      - 8000-8010/tcp
"""

RETURN = r"""
status:
  description: The worst status of all findings.
  type: str
  returned: always
  sample: ok
summary:
  description: How many findings there are of each status.
  type: str
  returned: always
  sample: "5 findings: 1 critical, 4 ok"
findings:
  description: One answer for each check and item.
  type: list
  elements: dict
  returned: always
  contains:
    check:
      description: Id of the check.
      type: str
      sample: services.port
    item:
      description: What was looked at.
      type: str
      sample: tcp/5432
    status:
      description: One of V(ok), V(skipped), V(info), V(warning), V(unknown), V(critical).
      type: str
      sample: critical
    summary:
      description: The answer in a sentence.
      type: str
      sample: Nothing listens on tcp/5432
    value:
      description: The measurement, in RV(findings[].unit).
      type: float
      returned: when it is a measurement
    unit:
      description: Unit of the measurement.
      type: str
      returned: when it is a measurement
    levels:
      description: The levels that the measurement was compared with.
      type: dict
      returned: when there are levels
    evidence:
      description: Up to 20 short lines of what a person would look at next.
      type: list
      elements: str
      returned: when there is some
    remedy:
      description: What to do about it.
      type: str
      returned: when there is something to do
metrics:
  description:
    - Numbers worth keeping.
    - C(services.active) and C(services.failed) count services, C(services.unit_memory) is in bytes for each unit named,
      C(services.process) counts processes, C(services.listeners) and C(services.listeners_reachable) count sockets.
  type: list
  elements: dict
  returned: always
  sample: [{"name": "services.listeners", "item": "tcp", "value": 4, "unit": ""}]
state_generation:
  description: Id of what the module remembers for the next run.
  type: str
  returned: when something was remembered
state_error:
  description: Why the module could not read or write its memory.
  type: str
  returned: when it could not
"""

from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.checks import CATALOGUE

ARGUMENTS: dict[str, dict[str, Any]] = {
    "units": {"type": "list", "elements": "raw", "default": []},
    "processes": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str"},
            "pattern": {"type": "str"},
            "user": {"type": "str"},
            "min": {"type": "int", "default": 1},
            "max": {"type": "int"},
        },
    },
    "ports": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "port": {"type": "int", "required": True},
            "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
            "state": {"type": "str", "choices": ["listening", "closed"], "default": "listening"},
            "address": {"type": "str"},
            "process": {"type": "str"},
        },
    },
    "ports_allowed": {"type": "list", "elements": "str"},
}


def main() -> None:
    run(check, argument_spec=ARGUMENTS, catalogue=CATALOGUE)


if __name__ == "__main__":
    main()
