#!/usr/bin/python

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Draw the report of a maintenance run from its journal
version_added: 0.1.0
description:
  - Reads what the modules of this collection have recorded in this run, compares it with the last run of the same
    cadence, and writes it as HTML, JSON, Markdown checklist, Prometheus textfile and JUnit XML.
  - Hosts of the run that left no record appear as V(unknown), never as fine.
  - Tells the owners in C(maintenance_contacts) what changed, closes the run's journal, and fails when the worst status
    reaches C(maintenance_fail_on) or when a module could not do its work.
  - Runs on the controller, once, however many hosts the play has. Reads the C(maintenance_*) variables of the first.
author:
  - fleetcare.maintenance contributors (@fleetcare)
requirements:
  - SQLAlchemy 2 on the controller
  - apprise on the controller where C(maintenance_contacts) has addresses
  - psycopg 3 on the controller where C(maintenance_store_url) is PostgreSQL
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
attributes:
  check_mode:
    support: partial
    details: The report of the run is written. The history is only read, and no notices are sent.
  diff_mode:
    support: none
  idempotent:
    support: full
  platform:
    platforms: linux
options:
  run:
    description:
      - The id of the run to report on, or V(latest) for the newest in the journal. Left out, it is the run that this
        task belongs to.
    type: str
  formats:
    description: What is written, to C(<reports>/<run>/report.*) and C(<reports>/latest.*).
    type: list
    elements: str
    choices: [html, json, markdown, prometheus, junit]
    default: [html, json, markdown, prometheus, junit]
  detail_hosts:
    description:
      - How many hosts, worst first, the first page of the HTML report shows in detail. Further hosts that need
        attention have pages beside it, with as many hosts each.
    type: int
    default: 100
  digest:
    description: Whether owners are told how things stand even when nothing has changed.
    type: bool
    default: false
  retention_days:
    description: How many days measurements and changes are kept in the history, and hosts that were not seen again.
    type: int
    default: 400
  expected_cadences:
    description:
      - Cadences (V(daily), V(weekly), V(monthly), V(quarterly)) that have to run, with their interval in days. The
        report says which is late. A cadence that has run before is expected without being named, at 1, 7, 31 and 92
        days.
    type: dict
    default: {}
  textfile_dir:
    description:
      - A folder that node_exporter's textfile collector reads; the Prometheus form is put there as well, as
        C(fleetcare-maintenance-<cadence>.prom).
    type: path
"""

EXAMPLES = r"""
- name: Report what the run found
  fleetcare.maintenance.report:

- name: Report to owners every week, and to Prometheus
  fleetcare.maintenance.report:
    digest: true
    formats: [html, prometheus]
    expected_cadences:
      daily: 1
      weekly: 7

- name: Draw the newest report again
  fleetcare.maintenance.report:
    run: latest
"""

RETURN = r"""
run:
  description: The id of the run.
  returned: success
  type: str
  sample: 20260131T040000Z-1f2e3d4c
status:
  description: The worst status of the run without suppressed findings.
  returned: success
  type: str
  sample: warning
msg:
  description: How things stand, where the report lies and why the run fails, a sentence an element.
  returned: always
  type: list
  elements: str
  sample: ["2 of 14 hosts need attention: 2 warning. Since the last run: 1 new."]
console:
  description: The same sentences as RV(msg), for the callback plugin that ends the run with them.
  returned: success
  type: list
  elements: str
counts:
  description: C(hosts) and C(findings) by status, and C(changes) since the last run by kind.
  returned: success
  type: dict
  sample: {"hosts": {"ok": 12, "warning": 2}, "findings": {"ok": 1980, "warning": 2}, "changes": {"new": 1}}
report:
  description: The path of every form that was written.
  returned: success
  type: dict
  sample: {"html": "/srv/reports/20260131T040000Z-1f2e3d4c/report.html"}
worst:
  description: The worst findings, at most 20, with C(host), C(check), C(item), C(status) and C(summary).
  returned: success
  type: list
  elements: dict
faults:
  description: What could not run, with C(host) and C(fault).
  returned: success
  type: list
  elements: dict
cadences:
  description: For every known cadence whether it is C(late), its C(age_seconds), how many runs it C(missed).
  returned: success
  type: list
  elements: dict
notices:
  description: What became of each notice, with C(owner), the number of the C(contact), C(sent), C(attempts), C(error).
  returned: success
  type: list
  elements: dict
problems:
  description: Outputs that could not be written, a sentence each.
  returned: success
  type: list
  elements: str
"""
