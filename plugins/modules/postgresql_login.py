#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_login
short_description: Make a PostgreSQL login that is enough for maintenance
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Makes a login a member of C(pg_monitor), lets it see errors in the configuration files, and where the server has
    C(pg_maintain) (PostgreSQL 17 and newer) lets it vacuum, analyze and reindex. It needs no superuser afterwards.
  - Only what is missing is done. Nothing is taken away from a login that has more.
  - The server gets a SCRAM verifier made on the host, and neither its log nor anybody on the way sees the password.
  - C(pg_hba.conf) is left as it is.
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.common_options
  - fleetcare.maintenance.postgresql
  - fleetcare.maintenance.repair_options
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details: Whether a password is the one that is wanted is seen by a superuser alone; others leave it as it is.
options:
  name:
    description: The login that is made, of at most 63 bytes.
    type: str
    default: maintenance
  password:
    description:
      - Its password, of printable ASCII characters. Without it the login has none, and comes in where C(pg_hba.conf)
        asks for none, as by peer authentication.
    type: str
  maintain:
    description: Whether it is made a member of C(pg_maintain) where the server has it.
    type: bool
    default: true
notes:
  - Whoever runs it has to be a superuser, which root is over the local socket.
  - Rights on the configuration files count in the database that O(login_db) names.
seealso:
  - module: fleetcare.maintenance.postgresql_check
"""

EXAMPLES = r"""
- name: Make a login for maintenance, as root over the local socket
  fleetcare.maintenance.postgresql_login:
    name: maintenance
    password: "{{ postgresql_password }}"

- name: Make one that only looks
  fleetcare.maintenance.postgresql_login:
    name: watcher
    maintain: false
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
  sample: "1 finding: 1 ok"
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
      sample: postgresql.login
    item:
      description: The cluster and the login.
      returned: always
      type: str
      sample: "localhost:5432 maintenance"
    status:
      description: The status of this finding.
      returned: always
      type: str
      sample: warning
    summary:
      description: The finding in a sentence.
      returned: always
      type: str
      sample: "maintenance may do what it is for"
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
  description: Always empty.
  returned: always
  type: list
  elements: dict
plan:
  description: The steps that are needed. A real run carries out exactly these.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: V(create), V(allow) to log in, V(set) for a password, or V(grant).
      type: str
      sample: create
    target:
      description: What is changed.
      type: str
      sample: pg_monitor to maintenance
    reason:
      description: Why it is needed.
      type: str
      sample: "it is no member"
    reversible:
      description: Whether it can be taken back.
      type: bool
    estimate:
      description: Always empty, for it costs nothing.
      type: dict
applied:
  description: The steps that were carried out and proved.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was done.
      type: str
    target:
      description: What was changed.
      type: str
    before:
      description:
        - Whether it was C(there) and could C(login), its C(roles) of those that are wanted, whether it saw the
          configuration C(files), and whether it had a C(password), which is never shown.
      type: dict
    after:
      description: The same afterwards.
      type: dict
    seconds:
      description: How long it took.
      type: float
failures:
  description: The steps that failed, or did not bring what they were for, with the error.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was to be done.
      type: str
    target:
      description: What was changed.
      type: str
    error:
      description: Why it failed.
      type: str
    done:
      description: Whether it was carried out all the same. The task is then C(changed).
      type: bool
kept:
  description: What was left as it is, with the reason.
  returned: always
  type: list
  elements: dict
  contains:
    target:
      description: What was left.
      type: str
    reason:
      description: Why it was left alone.
      type: str
diff:
  description: The login before and after; in check mode what is planned.
  returned: always
  type: dict
  contains:
    before_header:
      description: What the first side shows.
      type: str
    after_header:
      description: What the second side shows.
      type: str
    before:
      description: One line for each step, empty in check mode.
      type: str
    after:
      description: One line for each step.
      type: str
changed:
  description: Whether something was changed; in check mode, whether it would be.
  returned: always
  type: bool
state_error:
  description: Why nothing could be read from, or written for, another run.
  returned: when that is so
  type: str
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.login import ARGUMENTS, login


def main() -> None:
    run(login, argument_spec=ARGUMENTS, catalogue=CATALOGUE, repair=True)


if __name__ == "__main__":
    main()
