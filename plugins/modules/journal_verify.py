#!/usr/bin/python

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: journal_verify
short_description: Prove that the journal of maintenance runs was not changed
version_added: 0.1.0
description:
  - Verifies every line, every file and every head of a journal and names the first line that is broken.
  - Run it on the controller, or on any machine that holds a copy of the journal; it needs nothing but Python.
author:
  - fleetcare.maintenance contributors (@fleetcare)
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
  platform:
    platforms: linux
options:
  path:
    description:
      - The journal folder, such as V(/srv/maintenance/reports/journal).
      - In a playbook the journal of the run itself is verified unless this says otherwise.
    type: path
  run:
    description:
      - Verify this run alone; its place among the other runs is not looked at then.
    type: str
  head:
    description:
      - A head that was noted elsewhere and must still be there. Without it, nobody can see that the newest runs were
        cut off as a whole.
    type: str
"""

EXAMPLES = r"""
- name: Prove that the journal is whole
  fleetcare.maintenance.journal_verify:
  delegate_to: localhost
  run_once: true

- name: Prove a copy against a head that was noted elsewhere
  fleetcare.maintenance.journal_verify:
    path: "{{ copied_reports_dir }}/journal"
    head: 6786b7ea08e54b10ab182c67b72ae29b2d812f9aac626301765f6d3b6aa2ffae
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
head:
  description: Hash of the newest head; note it somewhere else to prove later that nothing was cut off.
  returned: success
  type: str
first_problem:
  description: Where the journal is broken first (run, file, line, and how); empty where it is whole.
  returned: success
  type: str
  sample: "20260131T040000Z-1f2e3d4c/db1.jsonl line 3: was changed: its hash does not match its content"
status:
  description: Worst status of all findings.
  returned: success
  type: str
  sample: ok
summary:
  description: How many findings of which status.
  returned: success
  type: str
findings:
  description: The findings of C(journal.chain) and C(journal.closed).
  returned: success
  type: list
  elements: dict
metrics:
  description: How many records were verified.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal.checks import CATALOGUE, check


def main() -> None:
    run(
        check,
        argument_spec={
            "path": {"type": "path"},
            "run": {"type": "str"},
            "head": {"type": "str"},
        },
        catalogue=CATALOGUE,
    )


if __name__ == "__main__":
    main()
