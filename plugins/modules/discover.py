#!/usr/bin/python

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: discover
short_description: Find what a host has that maintenance looks after
version_added: 0.1.0
description:
  - Finds mounts, running units, listeners, PostgreSQL, MySQL and MariaDB, Docker, web servers, certificates and log
    files in one look, without facts, passwords or root.
  - The cadence playbooks run the subjects that it names. What only root may see (whose a socket is) is left empty.
author:
  - fleetcare.maintenance contributors (@fleetcare)
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: See what is there
  fleetcare.maintenance.discover:
  register: discovery

- name: Look after the web server where there is one
  ansible.builtin.import_role:
    name: fleetcare.maintenance.web
    tasks_from: daily
  when: "'web' in discovery.discovered.subjects"
  vars:
    maintenance_discovered: "{{ discovery.discovered }}"
"""

RETURN = r"""
discovered:
  description: What was found.
  returned: success
  type: dict
  contains:
    subjects:
      description: The subjects that have something on this host.
      type: list
      elements: str
      sample: [host, services, web, logs]
    os:
      description: Identification of the operating system from os-release, and the running kernel.
      type: dict
    python:
      description: Version of the Python that ran the module.
      type: str
    python_path:
      description: Path of that Python.
      type: str
    root:
      description: Whether the module ran as root.
      type: bool
    systemd:
      description: Whether systemd is the init system.
      type: bool
    mounts:
      description: Mount points backed by a device or a server.
      type: list
      elements: str
    units:
      description: Running services.
      type: list
      elements: str
    listeners:
      description:
        - Listening TCP sockets and bound UDP sockets with C(protocol), C(address), C(port) and, where visible,
          C(process).
      type: list
      elements: dict
    postgresql:
      description:
        - PostgreSQL servers by C(socket) or C(port), with the options by which
          M(fleetcare.maintenance.postgresql_check) reaches them.
      type: list
      elements: dict
    mysql:
      description: MySQL and MariaDB servers by C(socket) or C(port).
      type: list
      elements: dict
    docker:
      description: Socket of the container engine and whether it is C(accessible); empty without one.
      type: dict
    web:
      description: Endpoints as M(fleetcare.maintenance.http_check) takes them.
      type: list
      elements: dict
    certificates:
      description: Certificate files that web servers are configured with.
      type: list
      elements: str
    logs:
      description:
        - Log files by C(path), with the C(service) they are of, their C(kind) (C(access), C(error), C(database),
          C(logins), C(kernel) or C(system)), and whether they are C(readable). A folder that may not be entered stands
          for the files in it.
      type: list
      elements: dict
summary:
  description: What was found, in one sentence.
  returned: success
  type: str
status:
  description: Worst status of RV(findings); V(skipped) when there are none.
  returned: always
  type: str
  sample: skipped
findings:
  description: What the action plugin has to say, such as that the host did not answer; the module judges nothing.
  returned: always
  type: list
  elements: dict
metrics:
  description: Always empty; the key is there because every module of the collection has it.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result, run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.discovery.collect import discover, summary


def look(context: Context) -> Result:
    found = discover()
    return Result(extra={"discovered": found, "summary": summary(found)})


def main() -> None:
    run(look, argument_spec={}, catalogue=None)


if __name__ == "__main__":
    main()
