# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's defaults, its argument specs, its README and its tasks tell one story; its tasks are few and dense."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible.playbook.task import Task

from ansible_collections.fleetcare.maintenance.tests.contract import tree

CADENCES = ("daily", "weekly", "monthly", "quarterly")
KEYWORDS = set(Task.fattributes) | {"loop", "block", "rescue", "always"}
#: A role is not run on schedule when it is `main` alone; then it may take the steps it needs.
DENSE = 2
#: Each of the modules of logs reads what no other reads, and two of the six repair where a variable asks for it.
DENSER = {"logs": 6}
SHELLS = tuple(f"ansible.builtin.{name}" for name in ("command", "shell", "raw", "script", "expect"))
#: A host without Python can be given one in no other way.
EXCUSED = {("roles/bootstrap/tasks/main.yml", "ansible.builtin.raw")}
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "path": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "list": (list,), "dict": (dict,),
}  # fmt: skip

roles = pytest.mark.parametrize("role", tree.roles())
entries = pytest.mark.parametrize(
    ("role", "entry"),
    [
        (name.split("/")[1], name.split("/")[3].removesuffix(".yml"))
        for name in tree.files()
        if re.fullmatch(rf"roles/\w+/tasks/(main|{'|'.join(CADENCES)})\.yml", name)
    ],
)


def defaults(role: str) -> dict[str, Any]:
    """The role's defaults; none where it has no file of them."""
    name = f"roles/{role}/defaults/main.yml"
    return (tree.document(name) or {}) if name in tree.files() else {}


def specs(role: str) -> dict[str, Any]:
    """The role's entry points with their options."""
    return tree.document(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]


def tasks(role: str, entry: str) -> list[dict[str, Any]]:
    """All tasks of an entry point, with those of the files that it takes in, each with the variables handed to it."""
    found = []
    for task in tree.flat_tasks(tree.document(f"roles/{role}/tasks/{entry}.yml") or []):
        taken = task.get("ansible.builtin.import_tasks") or task.get("ansible.builtin.include_tasks")
        name = taken.get("file") if isinstance(taken, dict) else taken
        inner = tasks(role, name.removesuffix(".yml")) if name else [task]
        handed = task.get("vars") or {}
        found.extend({**one, "vars": {**handed, **(one.get("vars") or {})}} if handed else one for one in inner)
    return found


def used(role: str, entry: str) -> set[str]:
    """The role's own variables that an entry point reads, also by way of a default."""
    mine = re.compile(rf"\b{role}_[a-z0-9_]+\b")
    todo = {name for task in tasks(role, entry) for name in mine.findall(json.dumps(task, default=str))}
    registered = {task["register"] for task in tasks(role, entry) if "register" in task}
    handed_on = {name for task in tasks(role, entry) for name in task.get("vars") or {}}
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        seen.add(name)
        todo |= set(mine.findall(json.dumps(defaults(role).get(name), default=str))) - seen
    own = registered | handed_on
    return {name for name in seen if name not in own and name.split(".")[0] not in tree.modules()}


def is_template(value: object) -> bool:
    return isinstance(value, str) and "{{" in value


@roles
def test_every_entry_point_has_its_tasks_and_every_cadence_its_entry_point(role: str) -> None:
    files = {
        name.split("/")[3].removesuffix(".yml") for name in tree.files() if name.startswith(f"roles/{role}/tasks/")
    }
    assert sorted(specs(role)) == sorted(files & {"main", *CADENCES})


@entries
def test_an_entry_point_takes_what_its_tasks_read(role: str, entry: str) -> None:
    assert sorted(specs(role)[entry].get("options") or {}) == sorted(used(role, entry))


@roles
def test_defaults_and_options_are_the_same_names(role: str) -> None:
    options = {name: option for spec in specs(role).values() for name, option in (spec.get("options") or {}).items()}
    optional = {name for name, option in options.items() if not option.get("required")}
    assert sorted(optional) == sorted(defaults(role))


@entries
def test_an_option_has_the_default_and_the_type_of_the_role(role: str, entry: str) -> None:
    wrong = []
    for name, option in (specs(role)[entry].get("options") or {}).items():
        if option.get("required"):
            continue
        value = defaults(role)[name]
        if option.get("default") != value:
            wrong.append(f"{name}: default {option.get('default')!r} is not {value!r}")
        kinds = TYPES.get(option.get("type", "str"), (object,))
        if (
            not is_template(value)
            and value is not None
            and not (isinstance(value, kinds) and _is_boolean(value, kinds))
        ):
            wrong.append(f"{name}: {value!r} is no {option.get('type')}")
        if not option.get("description"):
            wrong.append(f"{name}: no description")
    assert wrong == []


def _is_boolean(value: object, kinds: tuple[type, ...]) -> bool:
    return bool in kinds or object in kinds or not isinstance(value, bool)


@roles
def test_variables_bear_the_role_s_name(role: str) -> None:
    assert [name for name in defaults(role) if not name.startswith(f"{role}_")] == []


def rows(role: str) -> Iterator[tuple[str, str]]:
    """Variables and defaults of the README's table."""
    for line in tree.text(f"roles/{role}/README.md").splitlines():
        match = re.match(rf"\|\s*`({role}_\w+)`\s*\|\s*(.*?)\s*\|", line)
        if match:
            yield match.group(1), match.group(2)


@roles
def test_the_readme_names_every_variable_once_with_its_default(role: str) -> None:
    table = list(rows(role))
    every = set(defaults(role)) | {name for spec in specs(role).values() for name in spec.get("options") or {}}
    assert sorted(name for name, _cell in table) == sorted(every)
    assert [f"{name}: {cell}" for name, cell in table if not _shows(cell, defaults(role).get(name))] == []


def _shows(cell: str, value: object) -> bool:
    """Whether a cell gives the default; an expression is put in words instead."""
    if is_template(value):
        return bool(cell)
    code = re.fullmatch(r"`(.*)`", cell)
    if value is None or not code:
        return value is None
    return code.group(1) in (value, json.dumps(value)) or yaml.safe_load(code.group(1)) == value


@entries
def test_tasks_are_named_and_called_by_full_names(role: str, entry: str) -> None:
    found = tree.flat_tasks(tree.document(f"roles/{role}/tasks/{entry}.yml") or [])
    wrong = [
        task for task in found if not task.get("name") or any(key.count(".") < 2 for key in task.keys() - KEYWORDS)
    ]
    assert wrong == []


@entries
def test_tasks_of_a_cadence_are_few(role: str, entry: str) -> None:
    # Two tasks that share their arguments by an anchor are one task, asked from two places.
    distinct = {id(task[key]) for task in tasks(role, entry) for key in task if key.startswith(f"{tree.NAMESPACE}.")}
    others = [task for task in tasks(role, entry) if not any(key.startswith(tree.NAMESPACE) for key in task)]
    assert entry == "main" or len(distinct) + len(others) <= DENSER.get(role, DENSE)


@pytest.mark.parametrize(
    "name", [name for name in tree.files() if re.match(r"(roles/\w+/(tasks|handlers)|playbooks)/.*\.yml$", name)]
)
def test_no_task_calls_a_shell(name: str) -> None:
    found = {
        key
        for play in tree.document(name) or []
        for section in ([play] if "hosts" not in play else [*_sections(play)])
        for task in tree.flat_tasks([section])
        for key in task
        if key in SHELLS and (name, key) not in EXCUSED
    }
    assert found == set()


def _sections(play: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for section in ("pre_tasks", "tasks", "post_tasks", "handlers"):
        yield from play.get(section) or []


@entries
def test_a_cadence_of_a_role_is_in_the_playbook_of_the_cadence(role: str, entry: str) -> None:
    if entry in CADENCES:
        plays = tree.document(f"playbooks/{entry}.yml")
        # What most hosts do not have is included where it is, and costs the others nothing but the question.
        reached = [
            (task[way]["name"], task[way]["tasks_from"], task.get("tags"), task[way].get("apply", {"tags": role}))
            for play in plays
            for task in tree.flat_tasks(play.get("tasks") or [])
            for way in ("ansible.builtin.import_role", "ansible.builtin.include_role")
            if way in task and "tasks_from" in task[way]
        ]
        # By its tag a subject is run alone or left out.
        wanted = (f"{tree.NAMESPACE}.{role}", entry, role, {"tags": role})
        assert wanted in reached, f"import {role} in playbooks/{entry}.yml with its tag"


@pytest.mark.parametrize("cadence", CADENCES)
def test_a_playbook_validates_the_variables_of_its_roles_once(cadence: str) -> None:
    plays = tree.document(f"playbooks/{cadence}.yml")
    first = plays[0]["tasks"][0]
    assert f"{tree.NAMESPACE}.discover" in first
    assert (first["tags"], plays[0]["vars"]["maintenance_cadence"]) == ("always", cadence)
    asked_again = [
        task["name"]
        for play in plays
        for task in tree.flat_tasks(play["tasks"])
        for way in ("ansible.builtin.import_role", "ansible.builtin.include_role")
        if way in task and task[way].get("rolespec_validate", True)
    ]
    assert asked_again == []


def test_ansible_doc_shows_every_role() -> None:
    names = [f"{tree.NAMESPACE}.{role}" for role in tree.roles()]
    done = subprocess.run(
        [str(tree.PROGRAMS / "ansible-doc"), "-t", "role", "--json", *names],
        cwd=tree.ROOT, env=tree.ansible_environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    shown = json.loads(done.stdout)
    assert {name: sorted(said["entry_points"]) for name, said in shown.items()} == {
        f"{tree.NAMESPACE}.{role}": sorted(specs(role)) for role in tree.roles()
    }
