# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This checkout with a few modules exchanged for ones that do what a test says, and a place to run playbooks from.

The gate, the runner, the journal and the console are the real ones; they come through links.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal import chain
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import journal

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CHECK = "fleetcare.maintenance.host_check"
REPAIR = "fleetcare.maintenance.service_recover"


def build(folder: Path) -> Path:
    """Make a collections path below ``folder`` and return it."""
    target = folder / "collections/ansible_collections/fleetcare/maintenance"
    exchanged = {"modules": HERE / "modules", "callback": HERE / "callbacks"}
    (target / "plugins").mkdir(parents=True)
    for entry in ROOT.iterdir():
        if entry.name != "plugins" and not entry.name.startswith("."):
            (target / entry.name).symlink_to(entry)
    for entry in (ROOT / "plugins").iterdir():
        if entry.name not in exchanged:
            (target / "plugins" / entry.name).symlink_to(entry)
    for kind, source in exchanged.items():
        place = target / "plugins" / kind
        place.mkdir()
        for path in [*(ROOT / "plugins" / kind).glob("*.py"), *source.glob("*.py")]:
            (place / path.name).unlink(missing_ok=True)
            (place / path.name).symlink_to(path)
    return folder / "collections"


@dataclass(frozen=True)
class Outcome:
    """How a playbook ended, what it printed, and what each task returned, in order."""

    returncode: int
    stdout: str
    stderr: str
    tape: list[dict[str, Any]]

    def results(self, task: str, host: str = "localhost") -> list[dict[str, Any]]:
        """What a task returned on a host."""
        return [line["result"] for line in self.tape if (line["task"], line["host"]) == (task, host)]

    def events(self, task: str) -> dict[str, str]:
        """How a task ended on each host."""
        return {line["host"]: line["event"] for line in self.tape if line["task"] == task}


@dataclass
class Site:
    """A working directory with an inventory of hosts that are all this machine unless their variables say more."""

    folder: Path
    collections: Path
    hosts: dict[str, dict[str, Any]] = field(default_factory=lambda: {"localhost": {}})
    variables: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def journal(self) -> Path:
        return self.folder / "reports/journal"

    def runs(self) -> list[str]:
        return journal.runs(self.journal)

    def records(self, host: str = "localhost", run: int = -1) -> list[dict[str, Any]]:
        """The records of a host in a run, by default the newest."""
        return list(journal.read_host(self.journal, self.runs()[run], host))

    def problems(self) -> list[str]:
        return [problem.worded() for problem in chain.verify(self.journal).problems]

    def command(self, plays: Sequence[Mapping[str, Any]] | Path | str, *arguments: str) -> list[str]:
        """Write inventory and playbook down and return the argv that runs them."""
        local = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "maintenance_state_dir": str(self.folder / "state"),
            **self.variables,
        }
        inventory = self.folder / "inventory.yml"
        inventory.write_text(json.dumps({"all": {"hosts": self.hosts, "vars": local}}))
        if not isinstance(plays, (str, Path)):
            book = self.folder / "playbook.yml"
            # Ansible takes a text for a template only where it stands in a playbook or an inventory, as here.
            book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, **play} for play in plays]))
            plays = book
        program = Path(sys.executable).with_name("ansible-playbook")
        return [str(program), "-i", str(inventory), str(plays), *arguments]

    def surroundings(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        whole = {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_CALLBACKS_ENABLED": "fleetcare.maintenance.tape",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_DEPRECATION_WARNINGS": "False",
            "ANSIBLE_NOCOLOR": "1",
            "TAPE": str(self.folder / "tape.jsonl"),
            **self.environment,
        }
        return {name: value for name, value in whole.items() if value}

    def play(self, plays: Sequence[Mapping[str, Any]] | Path | str, *arguments: str) -> Outcome:
        """Run plays to their end."""
        tape = self.folder / "tape.jsonl"
        tape.unlink(missing_ok=True)
        done = subprocess.run(
            self.command(plays, *arguments),
            cwd=self.folder,
            env=self.surroundings(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = tape.read_text(encoding="utf-8").splitlines() if tape.exists() else []
        return Outcome(done.returncode, done.stdout, done.stderr, [json.loads(line) for line in lines])

    def tasks(self, *tasks: Mapping[str, Any], arguments: Sequence[str] = (), **play: Any) -> Outcome:
        """Run one play of these tasks."""
        return self.play([{**play, "tasks": list(tasks)}], *arguments)


def task(name: str, module: str, arguments: Mapping[str, Any] | None = None, **keywords: Any) -> dict[str, Any]:
    """A task as playbooks hold it."""
    return {"name": name, module: dict(arguments or {}), **keywords}


def check(name: str = "look", **arguments: Any) -> dict[str, Any]:
    """A task of the check that stands in."""
    return task(name, CHECK, arguments)


def repair(name: str = "repair", **arguments: Any) -> dict[str, Any]:
    """A task of the repair that stands in."""
    return task(name, REPAIR, arguments)
