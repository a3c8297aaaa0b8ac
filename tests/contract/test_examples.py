# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example is one that Ansible accepts and that runs: in check mode, on this machine, through the gate."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.playbook.task import Task

from ansible_collections.fleetcare.maintenance.tests.contract import tree
from ansible_collections.fleetcare.maintenance.tests.contract.rehearsal import Rehearsal, rehearse, stand_ins

#: What Ansible itself puts into a result.
ANSIBLE_KEYS = {"changed", "failed", "msg", "invocation", "warnings", "deprecations", "exception"}
#: What the gate puts into a result: where the record is.
GATE_KEYS = {"journal"}
KEYWORDS = set(Task.fattributes) | {"loop", "with_items"}
modules = pytest.mark.parametrize("module", tree.modules())


def _ours(task: dict[str, Any]) -> list[str]:
    return [key for key in task if key.startswith(f"{tree.NAMESPACE}.")]


@modules
def test_examples_show_the_module_itself_by_its_full_name(module: str) -> None:
    actions = {key for task in tree.flat_tasks(tree.examples(module)) for key in task if key not in KEYWORDS}
    assert f"{tree.NAMESPACE}.{module}" in actions
    assert [action for action in actions if action.count(".") < 2] == []


@modules
def test_every_task_of_an_example_has_a_name(module: str) -> None:
    assert [task for task in tree.flat_tasks(tree.examples(module)) if not task.get("name")] == []


@modules
def test_examples_use_documented_options_alone(module: str) -> None:
    unknown = [
        f"{name}: {path}"
        for task in tree.flat_tasks(tree.examples(module))
        for name in _ours(task)
        for path in _undocumented(
            task[name] or {}, tree.module_docs()[name.rsplit(".", 1)[-1]]["doc"].get("options", {})
        )
    ]
    assert unknown == []


def _undocumented(given: Any, options: dict[str, Any], prefix: str = "") -> list[str]:
    if isinstance(given, list):
        return [path for entry in given for path in _undocumented(entry, options, prefix)]
    if not isinstance(given, dict):
        return []
    names = {alias for option in options.values() for alias in option.get("aliases") or []} | set(options)
    found = [f"{prefix}{name}" for name in given if name not in names]
    for name, option in options.items():
        if name in given and option.get("suboptions"):
            found.extend(_undocumented(given[name], option["suboptions"], f"{prefix}{name}."))
    return found


@pytest.fixture(scope="module", params=tree.modules())
def rehearsed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Rehearsal]:
    """A module, and what became of its examples. A task that fails does not keep the next from its turn."""
    folder = tmp_path_factory.mktemp(request.param)
    tasks = tree.examples(request.param)
    play = {
        "name": f"Examples of {request.param}",
        "hosts": "all",
        "gather_facts": False,
        "ignore_errors": True,
        "vars": stand_ins(tasks, folder),
        "pre_tasks": [{"name": "Leave a record", f"{tree.NAMESPACE}.discover": None}],
        "tasks": tasks,
    }
    return request.param, rehearse([play], folder)


def test_the_examples_run(rehearsed: tuple[str, Rehearsal]) -> None:
    module, rehearsal = rehearsed
    assert rehearsal.troubles == []
    ran = {one["task"] for one in rehearsal.of(module) if one["kind"] == "ok"}
    name = f"{tree.NAMESPACE}.{module}"
    wanted = {task["name"] for task in tree.flat_tasks(tree.examples(module)) if name in task}
    assert sorted(wanted - ran) == [], rehearsal.output[-3000:]


def test_what_an_example_returns_is_documented(rehearsed: tuple[str, Rehearsal]) -> None:
    module, rehearsal = rehearsed
    documented = set(tree.module_docs()[module]["return"]) | ANSIBLE_KEYS | GATE_KEYS
    returned = {key for one in rehearsal.of(module) if one["kind"] == "ok" for key in one["keys"]}
    assert sorted(key for key in returned - documented if not key.startswith("_ansible")) == []
