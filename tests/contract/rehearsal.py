# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays run in check mode on this machine, and how each of their tasks ended."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, meta

from ansible_collections.fleetcare.maintenance.tests.contract import tree

#: Names that Ansible or an earlier play gives a meaning.
MAGIC = {
    "inventory_hostname", "groups", "group_names", "hostvars", "playbook_dir", "item", "omit", "now", "lookup", "query",
}  # fmt: skip
SECONDS = 300


@dataclass(frozen=True)
class Rehearsal:
    """How each task ended (``task``, ``action``, ``kind``, ``msg``, ``keys``), and what Ansible said."""

    outcomes: list[dict[str, Any]]
    output: str

    def of(self, module: str) -> list[dict[str, Any]]:
        """What became of the tasks that call one module of the collection."""
        return [one for one in self.outcomes if one["action"] == f"{tree.NAMESPACE}.{module}"]

    @property
    def troubles(self) -> list[str]:
        """Tasks that failed, and modules that could not do their work."""
        return [
            f"{one['task']}: {one['msg']}"
            for one in self.outcomes
            if one["kind"] in ("failed", "unreachable") or "fault" in one["keys"]
        ]


def rehearse(
    plays: Sequence[Mapping[str, Any]], folder: Path, *, variables: Mapping[str, Any] | None = None
) -> Rehearsal:
    """Run plays in ``folder`` against this machine alone; ``variables`` are those of the inventory."""
    inventory = folder / "inventory"
    (inventory / "group_vars").mkdir(parents=True)
    (inventory / "hosts.yml").write_text("all: {hosts: {localhost: {ansible_connection: local}}}\n", encoding="utf-8")
    (inventory / "group_vars/all.yml").write_text(yaml.safe_dump(dict(variables or {})), encoding="utf-8")
    (folder / "plays.yml").write_text(yaml.safe_dump(list(plays), sort_keys=False), encoding="utf-8")
    (folder / "settings.json").write_text(json.dumps(_settings(folder)), encoding="utf-8")
    outcomes = folder / "outcomes.jsonl"
    outcomes.touch()
    done = subprocess.run(
        [
            str(tree.PROGRAMS / "ansible-playbook"), "--check", "--inventory", str(inventory),
            "--extra-vars", "@settings.json", "plays.yml",
        ],
        cwd=folder, env=_environment(outcomes), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        timeout=SECONDS,
    )  # fmt: skip
    lines = outcomes.read_text(encoding="utf-8").splitlines()
    return Rehearsal([json.loads(line) for line in lines], done.stdout + done.stderr)


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
        ANSIBLE_DISPLAY_TRACEBACK="error",
        OUTCOMES=str(outcomes),
    )


def stand_ins(tasks: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, str]:
    """Something for every variable that tasks take for granted; what is named a folder gets a folder."""
    template = yaml.safe_dump(list(tasks))
    named = meta.find_undeclared_variables(Environment(autoescape=True).parse(template))
    given = {str(task["register"]) for task in tasks if "register" in task} | MAGIC
    unset = sorted(name for name in named - given if not name.startswith(("ansible_", "maintenance_")))
    return {name: str(folder / "reports") if name.endswith("_dir") else "example" for name in unset}
