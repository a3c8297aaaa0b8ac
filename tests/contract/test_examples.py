# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example is one that Ansible accepts and that runs: in check mode, on this machine, through the gate."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.playbook.task import Task
from jinja2 import Environment, meta

from ansible_collections.fleetcare.maintenance.tests.contract import tree

#: Names that Ansible or an earlier play gives a meaning.
MAGIC = {
    "inventory_hostname",
    "groups",
    "group_names",
    "hostvars",
    "playbook_dir",
    "item",
    "omit",
    "now",
    "lookup",
    "query",
}
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


@dataclass(frozen=True)
class Rehearsal:
    """The examples of one module, run as a play: how each task ended, and what Ansible said."""

    module: str
    outcomes: list[dict[str, Any]]
    output: str

    @property
    def own(self) -> list[dict[str, Any]]:
        """What became of the tasks that call the module itself."""
        return [one for one in self.outcomes if one["action"] == f"{tree.NAMESPACE}.{self.module}"]


@pytest.fixture(scope="module", params=tree.modules())
def rehearsal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Run the examples of a module. A task that fails does not keep the next from its turn."""
    folder = tmp_path_factory.mktemp(request.param)
    play = {
        "name": f"Examples of {request.param}",
        "hosts": "all",
        "gather_facts": False,
        "ignore_errors": True,
        "vars": _stand_ins(tree.examples(request.param), folder),
        "pre_tasks": [{"name": "Leave a record", f"{tree.NAMESPACE}.discover": None}],
        "tasks": tree.examples(request.param),
    }
    (folder / "examples.yml").write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
    (folder / "settings.json").write_text(json.dumps(_settings(folder)), encoding="utf-8")
    outcomes = folder / "outcomes.jsonl"
    outcomes.touch()
    done = subprocess.run(
        [
            str(tree.PROGRAMS / "ansible-playbook"), "--check", "--inventory", "localhost,", "--connection", "local",
            "--extra-vars", "@settings.json", "examples.yml",
        ],
        cwd=folder, env=_environment(outcomes), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        timeout=300,
    )  # fmt: skip
    lines = outcomes.read_text(encoding="utf-8").splitlines()
    return Rehearsal(request.param, [json.loads(line) for line in lines], done.stdout + done.stderr)


def _stand_ins(tasks: list[dict[str, Any]], folder: Path) -> dict[str, str]:
    """Something for every variable that the examples take for granted; a folder's name gets a folder."""
    template = yaml.safe_dump(tasks)
    named = meta.find_undeclared_variables(Environment(autoescape=True).parse(template))
    given = {task[key] for task in tasks for key in ("register",) if key in task} | MAGIC
    unset = sorted(name for name in named - given if not name.startswith("ansible_"))
    return {name: str(folder / "reports") if name.endswith("_dir") else "example" for name in unset}


def _settings(folder: Path) -> dict[str, Any]:
    return {
        "ansible_python_interpreter": str(tree.PROGRAMS / "python"),
        # An example may say become; what it shows is an option of the module and not this machine's sudo.
        "ansible_become": False,
        "maintenance_reports_dir": str(folder / "reports"),
        "maintenance_state_dir": str(folder / "state"),
        "maintenance_fail_on": "never",
    }


def _environment(outcomes: Path) -> dict[str, str]:
    return tree.ansible_environment(
        ANSIBLE_CALLBACK_PLUGINS=str(tree.ROOT / "tests/contract/callbacks"),
        ANSIBLE_CALLBACKS_ENABLED="outcomes",
        ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
        OUTCOMES=str(outcomes),
    )


def test_the_examples_run(rehearsal: Rehearsal) -> None:
    failed = [one for one in rehearsal.outcomes if one["kind"] in ("failed", "unreachable")]
    assert [f"{one['task']}: {one['msg']}" for one in failed] == []
    ran = {one["task"] for one in rehearsal.own if one["kind"] == "ok"}
    name = f"{tree.NAMESPACE}.{rehearsal.module}"
    wanted = {task["name"] for task in tree.flat_tasks(tree.examples(rehearsal.module)) if name in task}
    assert sorted(wanted - ran) == [], rehearsal.output[-3000:]


def test_what_an_example_returns_is_documented(rehearsal: Rehearsal) -> None:
    documented = set(tree.module_docs()[rehearsal.module]["return"]) | ANSIBLE_KEYS | GATE_KEYS
    returned = {key for one in rehearsal.own if one["kind"] == "ok" for key in one["keys"]}
    assert sorted(key for key in returned - documented if not key.startswith("_ansible")) == []
