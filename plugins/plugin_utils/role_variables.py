# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a cadence's roles, held against what the roles say that they take.

Ansible does so in a task of its own for each role, which costs the controller a process for each role and host. The
playbooks of the cadences turn that off, and ``discover``, their first task, asks for all roles at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.settings import NEAR

ROLES = Path(__file__).resolve().parents[2] / "roles"
#: The roles that every cadence has, by their one entry point.
ALWAYS = {"report": "main"}
WORDS = {
    "bool": "true or false",
    "bytes": "a size such as 512M",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "a path",
    "str": "a text",
}
LISTED = {"dict": "mappings", "str": "texts"}


Roles = Mapping[str, Mapping[str, Any]]


def refuse_wrong(roles: Roles, variables: Mapping[str, Any], template: Callable[[Any], Any], *, cadence: str) -> None:
    """Raise OptionError for the first variable of a role that has not the type or is none of the values it must be.

    What cannot be templated yet, for it hangs on something that is found later, is left to the task that takes it.
    """
    for name, spec in options(roles, cadence):
        if name not in variables or variables[name] == spec.get("default"):
            continue
        try:
            value = template(variables[name])
        except AnsibleError:
            continue
        if value is not None:
            _require(name, value, spec)


def read() -> Roles:
    """The argument specifications of all roles: entry points by role."""
    return {
        path.parents[1].name: yaml_load(path.read_bytes())["argument_specs"]
        for path in sorted(ROLES.glob("*/meta/argument_specs.yml"))
    }


def options(roles: Roles, cadence: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every variable that a role takes in a cadence, with its part of the role's argument specification."""
    for role, entries in roles.items():
        yield from (entries.get(ALWAYS.get(role, cadence), {}).get("options") or {}).items()


def misspelt(roles: Roles, variables: Iterable[str]) -> Iterator[str]:
    """A sentence for each variable that is nearly one of a role's.

    No more than a sentence, for unlike ``maintenance_*`` such names may well be somebody's own.
    """
    known = {name for entries in roles.values() for entry in entries.values() for name in entry.get("options") or {}}
    stems = {role.rstrip("s") for role in roles}
    for name in variables:
        if name not in known and name.partition("_")[0].rstrip("s") in stems:
            meant = difflib.get_close_matches(name, known, n=1, cutoff=NEAR)
            if meant:
                yield f"No role reads the variable '{name}'; did you mean '{meant[0]}'?"


def _require(name: str, value: object, spec: Mapping[str, Any]) -> None:
    said = ArgumentSpecValidator({name: {**spec, "default": None}}).validate({name: value}).error_messages
    if not said:
        return
    if "options" in spec:
        # Which of the many values it is, only the message says.
        raise MaintenanceError(f"Option '{name}' cannot be used: {clean(said[0])}.")
    raise OptionError(name, "(not shown)" if spec.get("no_log") else value, _expected(spec))


def _expected(spec: Mapping[str, Any]) -> str:
    kind = str(spec.get("type", "str"))
    choices = " or ".join(str(choice) for choice in spec.get("choices") or ())
    if kind != "list":
        return choices or WORDS.get(kind, kind)
    return f"a list of {choices or LISTED.get(str(spec.get('elements')), 'values')}"
