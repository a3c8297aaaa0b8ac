#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_recover
short_description: Restart applications that do not answer, and prove that it helped
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Asks each application several times whether it answers, and restarts its unit where it does not.
  - What it depends on is asked first. While a database is down the application is left alone, and the finding names
    the database as the cause.
  - Before a restart the evidence is taken that it would wipe out, and it is charged against the budget of the day.
    Afterwards the application has to answer several times in a row, or the restart counts as failed.
  - A unit that does not answer is left alone and reported as V(critical) when its budget is spent, when it was started
    a short while ago, when it is masked, when systemd restarts it already, and when the window closes too soon.
  - Where another run of this module is at work on the host, nothing is looked at and nothing is done.
  - Check mode puts the same questions and returns the plan that a real run then carries out.
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
  units:
    description: The units to look after. One that others depend on is looked after first.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the unit. C(.service) is added where it has no suffix.
        type: str
        required: true
      probe:
        description: Whether it answers. Exactly one of C(url), C(port), C(command) and C(process) is given.
        type: dict
        required: true
        suboptions:
          url:
            description:
              - An C(http) or C(https) address that has to answer a GET. Redirects are not followed, no proxy is used.
              - A status from 400 to 499 that is not among the statuses, other than 408 and 429, leaves the unit alone.
                Whoever refuses a request is alive, and a restart does not change that. The same goes for a
                certificate that is not trusted.
            type: str
          statuses:
            description: The HTTP statuses that are right, each a number or a range.
            type: list
            elements: str
            default: ["200-399"]
          validate_certs:
            description: Whether the certificate of an C(https) address has to be trusted.
            type: bool
            default: true
          ca_cert:
            description: File on the host with the certificates to trust, in PEM format. By default the system's.
            type: path
          port:
            description: A TCP port that has to accept a connection.
            type: int
          host:
            description: Where the port is.
            type: str
            default: 127.0.0.1
          command:
            description:
              - A program with its arguments that has to end with status 0. No shell is involved.
              - It is run in check mode as well and must not change anything. Its arguments are never shown.
            type: list
            elements: str
          process:
            description: A regular expression for the command line of a process that has to be there.
            type: str
      depends_on:
        description:
          - What has to answer first. Each entry is a probe, or names a unit.
          - While one of them does not answer the unit is not restarted.
        type: list
        elements: dict
        default: []
        suboptions:
          url:
            description:
              - An C(http) or C(https) address that has to answer a GET. Redirects are not followed, no proxy is used.
              - A status from 400 to 499 that is not among the statuses, other than 408 and 429, leaves the unit alone.
                Whoever refuses a request is alive, and a restart does not change that. The same goes for a
                certificate that is not trusted.
            type: str
          statuses:
            description: The HTTP statuses that are right, each a number or a range.
            type: list
            elements: str
            default: ["200-399"]
          validate_certs:
            description: Whether the certificate of an C(https) address has to be trusted.
            type: bool
            default: true
          ca_cert:
            description: File on the host with the certificates to trust, in PEM format. By default the system's.
            type: path
          port:
            description: A TCP port that has to accept a connection.
            type: int
          host:
            description: Where the port is.
            type: str
            default: 127.0.0.1
          command:
            description:
              - A program with its arguments that has to end with status 0. No shell is involved.
              - It is run in check mode as well and must not change anything. Its arguments are never shown.
            type: list
            elements: str
          process:
            description: A regular expression for the command line of a process that has to be there.
            type: str
          unit:
            description: A unit that has to be active. One that O(units) names too is judged by its own probe instead.
            type: str
      action:
        description: What to do to a unit that does not answer.
        type: str
        choices: [restart, start, reload]
        default: restart
      failures:
        description: O(failures) of this unit, where it differs.
        type: int
      interval_seconds:
        description: O(interval_seconds) of this unit, where it differs.
        type: float
      timeout_seconds:
        description: O(timeout_seconds) of this unit, where it differs.
        type: float
      restarts_per_day:
        description: O(restarts_per_day) of this unit, where it differs.
        type: int
      cooldown_seconds:
        description: O(cooldown_seconds) of this unit, where it differs.
        type: int
      verify_seconds:
        description: O(verify_seconds) of this unit, where it differs.
        type: float
      verify_successes:
        description: O(verify_successes) of this unit, where it differs.
        type: int
  failures:
    description:
      - How many probes in a row have to fail before a restart, from 1 to 20. One good answer ends the counting.
    type: int
    default: 3
  interval_seconds:
    description: Pause between two probes in seconds, from 0.1 to 300.
    type: float
    default: 2
  timeout_seconds:
    description: How long a probe may take in seconds, from 0.1 to 120.
    type: float
    default: 5
  restarts_per_day:
    description:
      - How many restarts of a unit are allowed within 24 hours, from 0 (only look) to 48. All controllers share this
        budget.
    type: int
    default: 3
  cooldown_seconds:
    description:
      - How long a unit is left alone after a restart, or after somebody else has started it, in seconds up to 86400.
    type: int
    default: 600
  verify_seconds:
    description: How long after the restart the unit has to answer at the latest, in seconds from 1 to 1800.
    type: float
    default: 60
  verify_successes:
    description: How many probes in a row have to succeed after the restart, from 1 to 20.
    type: int
    default: 2
  evidence_lines:
    description: How many lines of the unit's journal are kept as evidence, from 0 to 500.
    type: int
    default: 50
notes:
  - Evidence is written to the folder C(evidence) in O(state_dir), readable by root alone. The newest 20 files of a
    unit are kept. What looks like a password, token, key or cookie is masked.
  - Only root may restart units. For other users a unit that needs it is left alone and reported.
  - To keep a unit down on purpose, take it out of O(units), or mask it where its unit file is not in C(/etc).
seealso:
  - module: fleetcare.maintenance.service_check
  - module: fleetcare.maintenance.http_check
"""

EXAMPLES = r"""
- name: Restart the library when it does not answer, but not while its database is down
  fleetcare.maintenance.service_recover:
    units:
      - name: library
        probe:
          url: http://127.0.0.1:5000/api/health
        depends_on:
          - unit: mysql
          - port: 3306

- name: Look after the database first, with a longer pause after a restart
  fleetcare.maintenance.service_recover:
    units:
      - name: postgresql@15-main
        probe:
          command: [pg_isready, --quiet, --host, 127.0.0.1]
        restarts_per_day: 1
        cooldown_seconds: 3600
      - name: campus
        probe:
          port: 3000
        depends_on:
          - unit: postgresql@15-main
    failures: 5
    interval_seconds: 3
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
      sample: services.recovery
    item:
      description: What was looked at.
      type: str
      sample: library.service
    status:
      description: One of V(ok), V(skipped), V(info), V(warning), V(unknown), V(critical).
      type: str
      sample: critical
    summary:
      description: The answer in a sentence.
      type: str
      sample: "library.service does not answer (3 failed probes in a row: HTTP status 500) and would be restarted"
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
  description: How long the good answers took, as C(services.probe) in seconds for each unit.
  type: list
  elements: dict
  returned: always
  sample: [{"name": "services.probe", "item": "library.service", "value": 0.012, "unit": "s"}]
plan:
  description: The steps that are needed. A real run carries out exactly these.
  type: list
  elements: dict
  returned: always
  contains:
    action:
      description: One of V(restart), V(start), V(reload).
      type: str
      sample: restart
    target:
      description: The unit.
      type: str
      sample: library.service
    reason:
      description: Why it is needed.
      type: str
      sample: "3 probes in a row failed: no answer within 5 s"
    reversible:
      description: Whether it can be taken back, which a restart cannot.
      type: bool
    estimate:
      description: C(verify_seconds) that the proof may take, and C(restarts_left_today) afterwards.
      type: dict
applied:
  description: The steps that were carried out and proved to have helped.
  type: list
  elements: dict
  returned: always
  contains:
    action:
      description: What was done.
      type: str
    target:
      description: The unit.
      type: str
    before:
      description: State, main process and answer of the unit before.
      type: dict
    after:
      description: State, main process and answer of the unit afterwards.
      type: dict
    seconds:
      description: How long it took until the unit answered again.
      type: float
failures:
  description: The steps that failed, or did not help, with the error. Each has been charged against the budget.
  type: list
  elements: dict
  returned: always
  contains:
    action:
      description: What was to be done.
      type: str
    target:
      description: The unit.
      type: str
    error:
      description: Why it failed.
      type: str
    done:
      description:
        - Whether it was carried out all the same, as a restart after which the unit does not answer.
        - The task is then C(changed).
      type: bool
kept:
  description: The units that were left alone, with the reason.
  type: list
  elements: dict
  returned: always
  sample: [{"target": "app.service", "reason": "it depends on mysql.service, which does not answer (inactive (dead))"}]
diff:
  description: The units before and after; in check mode what is planned for them.
  type: dict
  returned: always
  contains:
    before_header:
      description: What the first side shows.
      type: str
    after_header:
      description: What the second side shows.
      type: str
    before:
      description: One line for each unit, empty in check mode.
      type: str
    after:
      description: One line for each unit.
      type: str
evidence:
  description: What was seen of each unit that does not answer, before anything was done to it.
  type: list
  elements: dict
  returned: when systemd could be asked
  contains:
    target:
      description: The unit.
      type: str
    file:
      description: File on the host that holds it. Empty where nothing was restarted.
      type: str
    lines:
      description: The evidence.
      type: list
      elements: str
state_error:
  description: Why the module could not read or write its memory.
  type: str
  returned: when it could not
"""

from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.recover import recover

PROBE: dict[str, dict[str, Any]] = {
    "url": {"type": "str"},
    "statuses": {"type": "list", "elements": "str", "default": ["200-399"]},
    "validate_certs": {"type": "bool", "default": True},
    "ca_cert": {"type": "path"},
    "port": {"type": "int"},
    "host": {"type": "str", "default": "127.0.0.1"},
    "command": {"type": "list", "elements": "str"},
    "process": {"type": "str"},
}
FIGURES: dict[str, dict[str, Any]] = {
    "failures": {"type": "int", "default": 3},
    "interval_seconds": {"type": "float", "default": 2},
    "timeout_seconds": {"type": "float", "default": 5},
    "restarts_per_day": {"type": "int", "default": 3},
    "cooldown_seconds": {"type": "int", "default": 600},
    "verify_seconds": {"type": "float", "default": 60},
    "verify_successes": {"type": "int", "default": 2},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "units": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "probe": {"type": "dict", "required": True, "options": PROBE},
            "depends_on": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {**PROBE, "unit": {"type": "str"}},
            },
            "action": {"type": "str", "choices": ["restart", "start", "reload"], "default": "restart"},
            **{name: {"type": figure["type"]} for name, figure in FIGURES.items()},
        },
    },
    **FIGURES,
    "evidence_lines": {"type": "int", "default": 50},
}


def main() -> None:
    run(recover, argument_spec=ARGUMENTS, catalogue=CATALOGUE, repair=True)


if __name__ == "__main__":
    main()
