# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``logrotate --debug`` says it would do: the only word on errors, and on which logs are due by their own rule.

Captured from logrotate 3.21 (Debian 12) and 3.22 (Debian 13). Log names are not ours: one that holds a newline is read
up to there, and whatever such a name forges here decides nothing but whether logrotate is asked again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import run

TIMEOUT = 60.0
Fate = Literal["due", "not due", "missing", "skipped"]
_INTRODUCTION = "warning: logrotate in debug mode does nothing"
_MISSING = re.compile(r"stat of (?P<log>.+) failed: No such file or directory")
_FOUND_ERROR = re.compile(r"found error in (?:file )?(?P<what>.+?) ?(?:, skipping)?")


@dataclass(frozen=True)
class Considered:
    """A log that logrotate looked at, the pattern it comes from, and what would become of it."""

    pattern: str
    log: str
    fate: Fate = "skipped"
    reason: str = ""


@dataclass(frozen=True)
class DryRun:
    """``errors`` are logrotate's own words; ``missing`` the logs that are not there; ``skipped`` what it leaves out."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    missing: tuple[str, ...]
    duplicates: tuple[str, ...]
    insecure: tuple[str, ...]
    skipped: tuple[str, ...]
    considered: tuple[Considered, ...]
    state_file: str

    @property
    def due(self) -> tuple[Considered, ...]:
        return tuple(one for one in self.considered if one.fate == "due")


def parse(text: str) -> DryRun:
    """Read the output, which comes on the standard error."""
    errors: list[str] = []
    warnings: list[str] = []
    kinds: dict[str, list[str]] = {"missing": [], "duplicates": [], "insecure": [], "skipped": []}
    considered: list[Considered] = []
    pattern = state_file = ""
    for line in text.splitlines():
        if line.startswith("rotating pattern: "):
            pattern = line[len("rotating pattern: ") :]
        elif line.startswith("considering log "):
            considered.append(Considered(pattern, line[len("considering log ") :]))
        elif line.startswith("Reading state from file: "):
            state_file = line[len("Reading state from file: ") :]
        elif line.startswith("error: "):
            _sort_error(line[len("error: ") :], errors, kinds, considered)
        elif line.startswith("warning: ") and not line.startswith(_INTRODUCTION):
            warnings.append(line[len("warning: ") :])
        elif considered and line.startswith("  log "):
            considered[-1] = _fate(considered[-1], line.strip())
    return DryRun(
        errors=tuple(errors),
        warnings=tuple(warnings),
        missing=tuple(kinds["missing"]),
        duplicates=tuple(kinds["duplicates"]),
        insecure=tuple(kinds["insecure"]),
        skipped=tuple(kinds["skipped"]),
        considered=tuple(considered),
        state_file=state_file,
    )


def _sort_error(text: str, errors: list[str], kinds: dict[str, list[str]], considered: list[Considered]) -> None:
    missing, left_out = _MISSING.fullmatch(text), _FOUND_ERROR.fullmatch(text)
    if missing:
        kinds["missing"].append(missing["log"])
        if considered and considered[-1].log == missing["log"]:
            considered[-1] = replace(considered[-1], fate="missing", reason="it is not there")
    elif left_out:
        kinds["skipped"].append(left_out["what"])
    elif " duplicate log entry for " in text:
        kinds["duplicates"].append(text)
    elif "because parent directory has insecure permissions" in text:
        kinds["insecure"].append(text.split('"')[1] if text.count('"') >= 2 else text)
    else:
        errors.append(text)


def _fate(considered: Considered, text: str) -> Considered:
    if text.startswith("log needs rotating"):
        return replace(considered, fate="due", reason="")
    if text.startswith("log does not need rotating"):
        return replace(considered, fate="not due", reason=text.partition("(")[2].rstrip(")"))
    if text.endswith("does not exist -- skipping"):
        return replace(considered, fate="missing", reason="it is not there")
    if text.endswith(("skipping", "skipping.")):
        return replace(considered, fate="skipped", reason=text)
    return considered


def dry_run(configuration: str, *, force: bool = False) -> DryRun:
    """Ask logrotate about a configuration file. Raises MaintenanceError where it cannot be run to its end."""
    options = ["--debug", *(["--force"] if force else [])]
    done = run(["logrotate", *options, configuration], timeout=TIMEOUT)
    return parse(done.stderr + done.stdout)
