# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run: the identity that every worker of one ``ansible-playbook`` shares, and who ran what from where."""

from __future__ import annotations

import getpass
import hashlib
import itertools
import json
import os
import secrets
import socket
import subprocess
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.context import CLIARGS
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.splitter import parse_kv
from ansible.release import __version__ as ansible_version

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal.chain import SCHEMA

_RUN_NAME = "fleetcare-run"
#: Stands for extra variables whose names cannot be told.
_UNNAMED = "(inline)"
#: How AWX and its predecessors tell a job about itself.
_JOB_VARIABLES = {
    "job_id": ("awx_job_id", "tower_job_id"),
    "template": ("awx_job_template_name", "tower_job_template_name"),
    "launched_by": ("awx_user_name", "tower_user_name"),
    "schedule": ("awx_schedule_name", "tower_schedule_name"),
    "workflow_job_id": ("awx_workflow_job_id", "tower_workflow_job_id"),
}


def run_id(clock: Clock, *, part: int = 0) -> str:
    """The id of this run, the same in every worker process, such as ``20260131T040000Z-1f2e3d4c``.

    Ansible makes one temporary folder per invocation before it forks; the first worker to come leaves the id there.
    ``part`` counts on for what comes after the run was closed.
    """
    path = _note(_RUN_NAME if not part else f"{_RUN_NAME}-{part}")
    for _attempt in range(2):
        try:
            return path.read_text(encoding="ascii")
        except FileNotFoundError:
            pass
        now = clock.now()
        # Runs of one second stand in the order in which they began, for they are sorted by name.
        fresh = f"{now:%Y%m%dT%H%M%SZ}-{now.microsecond // 1000:03x}{secrets.token_hex(3)[:5]}"
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(fresh, encoding="ascii")
        try:
            os.link(temporary, path)
        except FileExistsError:
            continue
        finally:
            temporary.unlink()
    return path.read_text(encoding="ascii")


def open_run_id(clock: Clock, closed: Callable[[str], bool]) -> str:
    """The id under which records are written now: a new part of the run where the one before has been closed."""
    for part in itertools.count():
        name = run_id(clock, part=part)
        if not closed(name):
            return name
    raise AssertionError("an endless count has ended")


def latest_id(clock: Clock) -> str:
    """The id of the newest part of this run, closed or not: what a report is about."""
    name = run_id(clock)
    for part in itertools.count(1):
        if not _note(f"{_RUN_NAME}-{part}").exists():
            return name
        name = run_id(clock, part=part)
    raise AssertionError("an endless count has ended")


def note_silence(target: str) -> None:
    """Remember for the rest of this run that a machine did not answer."""
    _note(_silence(target)).touch()


def is_silent(target: str) -> bool:
    """Whether a machine did not answer earlier in this run, so that nobody waits for it twice."""
    return _note(_silence(target)).exists()


def _silence(target: str) -> str:
    return f"fleetcare-silent-{hashlib.sha256(target.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _note(name: str) -> Path:
    return Path(constants.DEFAULT_LOCAL_TMP) / name


def describe(
    *,
    run: str,
    variables: Mapping[str, Any],
    settings: Mapping[str, Any],
    cadence: str,
    working_directory: Path,
    environment: Mapping[str, str],
    now: datetime,
) -> dict[str, Any]:
    """What ``run.json`` holds: who ran what, when, from which commit, in check mode or not, on which hosts.

    Of extra variables only the names are kept, for their values may be secrets; of the collection's own settings a
    hash, to see from run to run whether anything changed.
    """
    playbooks = [str(name) for name in CLIARGS.get("args") or ()]
    return {
        "schema": SCHEMA,
        "run": run,
        "started": iso(now),
        "cadence": cadence,
        "playbooks": playbooks,
        "check_mode": bool(CLIARGS.get("check")),
        "diff_mode": bool(CLIARGS.get("diff")),
        "limit": str(CLIARGS.get("subset") or ""),
        "tags": sorted(str(tag) for tag in CLIARGS.get("tags") or () if tag != "all"),
        "extra_variables": _extra_names(CLIARGS.get("extra_vars") or ()),
        "inventory": [str(source) for source in variables.get("ansible_inventory_sources") or ()],
        "hosts": sorted(str(host) for host in variables.get("ansible_play_hosts_all") or ()),
        "settings_hash": hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest(),
        "user": _user(),
        "sudo_user": environment.get("SUDO_USER", ""),
        "job": _job(variables),
        "controller": socket.gethostname(),
        "working_directory": str(working_directory),
        "commit": commit_of(working_directory),
        "ansible": ansible_version,
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _job(variables: Mapping[str, Any]) -> dict[str, str]:
    job: dict[str, str] = {}
    for key, names in _JOB_VARIABLES.items():
        for name in names:
            if variables.get(name):
                job.setdefault(key, str(variables[name]))
    return job


def _extra_names(extra: Any) -> list[str]:
    names: set[str] = set()
    for piece in extra:
        text = str(piece).strip()
        if text.startswith("@"):
            names.add(text)
        elif text.startswith(("{", "[")):
            names.update(_named(text))
        elif text:
            names.update(_keys(text))
    return sorted(names)


def _keys(text: str) -> set[str]:
    """The names in ``key=value`` words as Ansible itself reads them: an equals sign within quotes makes no name.

    Of words without one Ansible makes no variable; that ``name: value`` was given is told all the same.
    """
    try:
        pairs = parse_kv(text)
    except AnsibleError:
        return {_UNNAMED}
    rest = pairs.pop("_raw_params", "")
    return {str(name) for name in pairs} | (_named(rest) if rest else set())


def _named(text: str) -> set[str]:
    """The names in a mapping in YAML or JSON; what is no name may be a secret, and is not shown."""
    try:
        read = DataLoader().load(text)
    except AnsibleError:
        return {_UNNAMED}
    names = list(read) if isinstance(read, Mapping) else [""]
    return {str(name) if str(name).isidentifier() else _UNNAMED for name in names}


def commit_of(directory: Path) -> str:
    """The git commit a directory stands at, with ``+`` behind it for uncommitted changes; empty without git."""
    try:
        head = _git(directory, "rev-parse", "HEAD")
        changed = _git(directory, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + ("+" if changed else "")


def _git(directory: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(directory), "--no-optional-locks", *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=5,
        stdin=subprocess.DEVNULL,
    ).stdout.strip()
