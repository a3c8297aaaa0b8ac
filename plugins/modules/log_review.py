#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_review
short_description: Review what is new in logs, by kinds of errors
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Reads what was written since the last run, in files, in the journal of systemd and in containers' logs, and
    tells which kinds of errors there are, how often each came, which are new and which came much more often than
    they used to.
  - A run goes on where the last one stopped, whether the log was renamed, copied and truncated, packed, given a
    date, or written anew in between. Lines that were gone before they could be read are told, never passed over.
  - An error is a line whose own level says so. C(0 errors) is none, nor is a path with C(error) in it, nor a
    request that was answered with an error. A stack trace counts once, with the line above it.
  - Errors are told by templates, from which numbers, addresses, paths, quoted texts, identifiers and e-mail
    addresses are taken out. What looks like a secret is masked.
  - It runs at a low priority, reads a log once, and holds no more of it than a line.
  - It needs nothing but Python. C(grep) makes it quicker on large logs.
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
  name:
    description:
      - Name of the review. Each name goes on from its own last run, so two reviews can read one log with other
        options.
      - 1 to 64 letters, digits, dots, dashes or underscores.
    type: str
    default: default
  files:
    description:
      - Logs to read. Each entry is an absolute path, a glob, or a mapping with C(path), C(format) and C(exclude)
        (a list of globs). C(**) in a glob stands for folders at any depth.
      - Formats are C(auto) (the default; seen from the first lines), C(text), C(json), C(postgresql),
        C(postgresql_csv), C(postgresql_json) and C(mysql). What PostgreSQL says of temporary files, skipped vacuums
        and long lock waits counts as a warning, although its level is none.
      - What rotation named, and what is packed, is read with its live log and needs no entry. Only plain files are
        read, no links. A link on the way is followed where nobody but root, or the user of the run, can change it.
      - Without this option and the others that name a log, the error logs of nginx, Apache, PostgreSQL and MySQL
        are read at their usual places, and the journal, or C(/var/log/syslog) and C(/var/log/messages) where there
        is none.
    type: list
    elements: raw
    default: []
  journal:
    description:
      - Whether to read the journal of systemd. It is read when entries of it are chosen.
      - A program's output has no level of its own there, so the level in its text counts.
    type: bool
  journal_units:
    description: Units whose entries are read, with what systemd says of them. C(.service) is added to a plain name.
    type: list
    elements: str
    default: []
  journal_identifiers:
    description: Programs whose entries are read, by the identifier that they log with.
    type: list
    elements: str
    default: []
  journal_kernel:
    description: Whether the kernel's entries are read.
    type: bool
    default: false
  containers:
    description:
      - Names of containers whose logs are read, or globs. Stopped ones are read too.
      - Needs access to O(docker_socket), and a log driver that can be read back.
    type: list
    elements: str
    default: []
  docker_socket:
    description: Socket of the Docker engine, or of Podman's service.
    type: path
    default: /var/run/docker.sock
  severity:
    description: The least level that counts.
    type: str
    choices: [fatal, error, warning]
    default: error
  include:
    description:
      - Regular expressions. A line that one of them matches counts as an error, whatever its level.
    type: list
    elements: str
    default: []
  ignore:
    description:
      - Regular expressions. What one of them matches does not count; how often that was is told.
    type: list
    elements: str
    default: []
  first:
    description:
      - Where a log that was never reviewed is begun. V(start), V(end), or a size such as V(1M) before its end. For
        the journal and for containers every size means 10,000 entries. Begun at its V(end), nothing of what a log
        held before is read.
      - The first review of a log takes stock, and raises no alarm but for fatal errors.
    type: str
    default: 1M
  max_bytes:
    description:
      - How much of each log one run reads, from V(1M) to V(1024T). What is left is told, and read by the next run.
    type: str
    default: 2G
  workers:
    description: Processes that sift a large log at once, from 1 to 64.
    type: int
    default: 1
  release:
    description:
      - Name of the release that runs, such as a version or a commit. Kinds of errors that are met first while it
        is named are told, in this run and in later ones, until another one is named.
    type: str
  examples:
    description:
      - Whether one line of each kind is shown beside its template, with secrets and e-mail addresses masked.
        Names, addresses and numbers stay in it.
    type: bool
    default: false
  top:
    description: How many kinds a finding shows, from 1 to 19.
    type: int
    default: 10
  alive:
    description:
      - Proves that what is logged arrives. A marker is written and has to come out. In check mode none is written.
    type: dict
    suboptions:
      command:
        description:
          - Command that logs the marker, as a list of words without a shell. C({marker}) stands for the marker.
          - Without it C(logger -t fleetcare-maintenance {marker}) is run.
        type: list
        elements: str
      log:
        description: Where it has to come out. V(journal), or the absolute path of a log.
        type: str
      seconds:
        description: How long it may take, from 0.1 to 300 seconds.
        type: float
        default: 10.0
seealso:
  - module: fleetcare.maintenance.service_check
"""

EXAMPLES = r"""
- name: Review the usual logs
  fleetcare.maintenance.log_review:

- name: Review the logs of a web application, and prove that its journal lives
  fleetcare.maintenance.log_review:
    name: shop
    files:
      - /var/log/nginx/*error.log
      - path: /var/log/postgresql/*.csv
        format: postgresql_csv
      - path: /srv/shop/log/**/*.log
        exclude: ["*/debug.log"]
    journal_units:
      - shop
    journal_kernel: true
    ignore:
      - client intended to send too large body
    release: "2026.11.2"
    alive:
      seconds: 5
    levels:
      "logs.errors[/var/log/nginx*]": {warning: 100, critical: 1000}
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
  sample: "6 findings: 1 warning, 5 ok"
findings:
  description: One answer for each check and item.
  type: list
  elements: dict
  returned: always
  contains:
    check:
      description: Id of the check.
      type: str
      sample: logs.new
    item:
      description: What was looked at.
      type: str
      sample: /var/log/nginx/error.log
    status:
      description: One of V(ok), V(skipped), V(info), V(warning), V(unknown), V(critical).
      type: str
      sample: warning
    summary:
      description: The answer in a sentence.
      type: str
      sample: "kinds never seen before: 1 (warning from 1)"
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
    - Numbers worth keeping, for each log.
    - C(logs.errors) is in events an hour, C(logs.events) and C(logs.kinds) count the events and their kinds of
      this run, C(logs.fatal), C(logs.new) and C(logs.spike) are the values of the findings, C(logs.behind) is in
      bytes.
  type: list
  elements: dict
  returned: always
  sample: [{"name": "logs.events", "item": "/var/log/nginx/error.log", "value": 12, "unit": ""}]
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
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.polite import be_polite
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.options import ARGUMENTS


def main() -> None:
    be_polite()
    run(check, argument_spec=ARGUMENTS, catalogue=CATALOGUE)


if __name__ == "__main__":
    main()
