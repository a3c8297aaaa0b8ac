#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: auth_log_review
short_description: Review logins, privileges and blocked packets since the last run
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Reads what sshd, login, sudo, su, PAM and the tools for accounts have logged since the last run, and the packets
    that the firewall logged, and says who failed, who got in after failing, who became root and who knocked.
  - The journal is read where it is, for it alone knows who really sent a line. Else the files of syslog are read. Each
    line is read once, also where files are rotated in between, and lines that were lost are told.
  - The names that clients choose are hostile. A user called C(root from 192.0.2.1 port 22 ssh2) is a user, not an
    address, and a line that can be read in two ways is told and not believed.
  - Who types a password where the name belongs has it in the log. Names that no account has are not shown, unless they
    are guessed everywhere or were tried from several addresses. Of what sudo and su log no words are shown.
  - Its memory does not grow with the number of attackers. Where only the busiest are told apart, the findings say so.
  - The result carries the busiest addresses, and the report names those that were seen on several hosts.
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
    details: The second of two runs has the lines between them to read.
options:
  source:
    description:
      - Where the host's own logins are logged.
      - V(auto) is the journal where it can be read, else the files.
    type: str
    choices: [auto, journal, files]
    default: auto
  files:
    description:
      - Files of syslog, or globs, to be read in place of the journal. Lines of other programs are passed over.
      - By default C(/var/log/auth.log) or C(/var/log/secure), and C(/var/log/kern.log) or C(/var/log/messages). Where
        neither of the first two is there, logins are looked for in C(/var/log/messages), as Alpine and SUSE log them.
      - Times may be traditional (C(Nov 25 09:51:24)), ISO 8601 or RFC 5424, with or without parts of a second. Those
        without a zone are in the host's own. Where not one line has such a time, nothing is said to be well.
    type: list
    elements: str
    default: []
  applications:
    description: Applications with logins of their own, and how these read in their logs.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the application is called in findings.
        type: str
        required: true
      files:
        description: The application's logs, or globs.
        type: list
        elements: str
        required: true
      failure:
        description:
          - A regular expression of Python, searched for in each line, that a failed login matches.
          - The groups C((?P<user>...)) and C((?P<address>...)) say who failed, and one of them is needed.
          - The group C((?P<time>...)) says when, as an ISO 8601 time with its zone, as a number of seconds or
            milliseconds since 1970, or like C(25/Nov/2026:09:51:24 +0100). Without it a failure counts, and is not part
            of a burst.
        type: str
        required: true
      success:
        description: The same for a login that succeeded.
        type: str
  networks_allowed:
    description:
      - Addresses and networks whose failures and blocked packets are counted and not judged, and whose logins are not
        new, such as an office or a scanner of your own.
    type: list
    elements: str
    default: []
  users_allowed:
    description: Globs of users of whom the same holds, such as that of a monitoring probe.
    type: list
    elements: str
    default: []
  span_minutes:
    description: Within how many minutes the failures of one address count as one attack.
    type: float
    default: 10
  networks_days:
    description: For how many days a network from which a user came is known.
    type: int
    default: 90
  blocked_pattern:
    description:
      - A regular expression for the prefixes (C(--log-prefix)) of rules that throw away what they log.
      - What ufw only audits is not counted by default, for what it blocks stands in a line of its own.
    type: str
    default: '(?i)^(?!.*\baudit\b).*(block|drop|reject|den[iy]|refus|invalid|discard|blacklist)'
  first_hours:
    description: How many hours of the past the first run looks at.
    type: float
    default: 24
  max_bytes:
    description:
      - How many bytes of each file are read in one run at most. What is left is told, and read by the next run.
    type: bytes
    default: 256M
seealso:
  - module: fleetcare.maintenance.service_check
"""

EXAMPLES = r"""
- name: Review logins and blocked packets since the last run
  fleetcare.maintenance.auth_log_review:

- name: Review them together with the logins of an application
  fleetcare.maintenance.auth_log_review:
    networks_allowed: [192.0.2.0/24]
    users_allowed: [probe]
    applications:
      - name: shop
        files: [/var/log/shop/app.log]
        failure: '(?P<time>\S+) .*authentication failed for "(?P<user>[^"]*)" from (?P<address>\S+)$'
        success: '(?P<time>\S+) .*logged in "(?P<user>[^"]*)" from (?P<address>\S+)$'
    levels:
      logs.auth_new_network: {warning: 3}

- name: Read files of syslog in place of the journal
  fleetcare.maintenance.auth_log_review:
    files: [/var/log/auth.log, /var/log/kern.log]
    first_hours: 168
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
  sample: "17 findings: 1 critical, 16 ok"
findings:
  description: One answer for each check and item.
  type: list
  elements: dict
  returned: always
  contains:
    check:
      description: Id of the check.
      type: str
      sample: logs.auth_brute_force
    item:
      description: What was looked at.
      type: str
      sample: addresses
    status:
      description: One of V(ok), V(skipped), V(info), V(warning), V(unknown), V(critical).
      type: str
      sample: critical
    summary:
      description: The answer in a sentence.
      type: str
      sample: "Most failures of one address within 10 min: 612 (info from 10, warning from 60, critical from 600)"
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
    - Numbers worth keeping, and every measurement of the findings.
    - C(logs.auth_failed), C(logs.auth_logins), C(logs.auth_commands), C(logs.auth_addresses) and
      C(logs.auth_turned_away) count since the last run.
  type: list
  elements: dict
  returned: always
  sample: [{"name": "logs.auth_failed", "item": "logins", "value": 612, "unit": ""}]
sources:
  description:
    - The busiest addresses with their failed logins and blocked packets, at most 300. From these the report tells which
      addresses were seen on several hosts.
    - IPv6 is counted by its /64, for which the first of its addresses stands.
  type: list
  elements: dict
  returned: always
  sample: [{"address": "203.0.113.9", "failures": 612, "blocked": 0}]
state_generation:
  description: Id of what the module remembers for the next run.
  type: str
  returned: when something was remembered
state_error:
  description: Why the module could not read or write its memory.
  type: str
  returned: when it could not
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.options import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE


def main() -> None:
    run(check, argument_spec=ARGUMENTS, catalogue=CATALOGUE)


if __name__ == "__main__":
    main()
