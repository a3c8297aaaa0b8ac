# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run modules and playbooks of this checkout the way a user does, and read back what they returned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "fleetcare.maintenance."


@dataclass(frozen=True)
class Controller:
    """Ansible on this machine with one inventory; what a call leaves behind stays below ``directory``."""

    inventory: Path
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def module(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        hosts: str = "all",
        check: bool = False,
        diff: bool = False,
        variables: Mapping[str, Any] | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Run one module of the collection (or any, by its full name) and return each host's result."""
        full_name = name if "." in name else COLLECTION + name
        tree = self.directory / f"results-{len(list(self.directory.glob('results-*')))}"
        options = [*(["--check"] if check else []), *(["--diff"] if diff else [])]
        if arguments:
            options += ["--args", json.dumps(arguments)]
        if variables:
            options += ["--extra-vars", json.dumps(variables)]
        done = self._run("ansible", [hosts, "-m", full_name, "--tree", str(tree), *options])
        results = {path.name: json.loads(path.read_text()) for path in sorted(tree.glob("*"))}
        if not results:
            raise RuntimeError(f"ansible ended with {done.returncode} and no result:\n{done.stdout}{done.stderr}")
        return results

    def playbook(self, playbook: str | Path | Sequence[Mapping[str, Any]], *arguments: str) -> Run:
        """Run a playbook (a path, a name such as fleetcare.maintenance.daily, or plays as data)."""
        if not isinstance(playbook, (str, Path)):
            path = self.directory / f"playbook-{len(list(self.directory.glob('playbook-*')))}.yml"
            path.write_text(json.dumps(list(playbook), indent=2))
            playbook = path
        done = self._run("ansible-playbook", [str(playbook), *arguments])
        return Run(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def _run(self, program: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name(program)), "-i", str(self.inventory), *arguments],
            cwd=self.directory, env=self._environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache/collections"),
            "ANSIBLE_STDOUT_CALLBACK": "default",
            "ANSIBLE_NOCOLOR": "1",
            **self.environment,
        }


@dataclass(frozen=True)
class Run:
    """How a playbook ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str
