# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run stages: one after the other with their output as it comes, or several at a time with logs.

The last line counts what passed and what failed: tests where a step is a test run, else the step itself.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ansible_collections.fleetcare.maintenance.tests.stages.environments import CACHE, ROOT, SetupError
from ansible_collections.fleetcare.maintenance.tests.stages.steps import STAGES, Step, child_environment

STEP_SECONDS = 1200
TAIL_LINES = 150
_printing = threading.Lock()


@dataclass(frozen=True)
class Outcome:
    """How a step ended. ``note`` says why it was not run, or what failed before it could start."""

    stage: str
    step: str
    verdict: str
    seconds: float
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""


def run_stage(name: str, *, live: bool) -> list[Outcome]:
    """Run every step of a stage; a step that fails does not keep the next from running."""
    stage = STAGES[name]
    if stage.needs:
        prepared = subprocess.run(
            [str(ROOT / "tests/images/prepare"), *stage.needs],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if prepared.returncode != 0:
            outcome = Outcome(name, "prepare", "FAILED", 0.0, failed=1, note=prepared.stderr.strip())
            _report(outcome, log=None)
            return [outcome]
    return [run_step(name, number, step, live=live) for number, step in enumerate(stage.steps)]


def run_step(stage: str, number: int, step: Step, *, live: bool) -> Outcome:
    """Run one step and return how it ended."""
    if step.environment is not None and step.environment.python_version is None:
        wanted = " or ".join(step.environment.pythons)
        outcome = Outcome(stage, step.name, "NOT RUN", 0.0, skipped=1, note=f"no Python {wanted} on this machine")
        _report(outcome, log=None)
        return outcome
    log = CACHE / "logs" / f"{stage}-{number}.log"
    junit = CACHE / "junit" / f"{stage}-{number}.xml"
    junit.unlink(missing_ok=True)
    if live:
        print(f"\n== {stage}: {step.name}", flush=True)
    began = time.monotonic()
    note = ""
    try:
        returncode = _execute(step, log=None if live else log, junit=junit)
    except subprocess.TimeoutExpired:
        returncode, note = 1, f"stopped after {STEP_SECONDS} s"
    except (SetupError, FileNotFoundError) as error:
        returncode, note = 1, str(error)
    passed, failed, skipped = _counts(junit) if step.counts_tests else (int(not returncode), int(bool(returncode)), 0)
    outcome = Outcome(
        stage, step.name, "FAILED" if returncode else "passed", time.monotonic() - began,
        passed=passed, failed=max(failed, int(bool(returncode))), skipped=skipped, note=note,
    )  # fmt: skip
    _report(outcome, log=None if live else log)
    return outcome


def _execute(step: Step, *, log: Path | None, junit: Path) -> int:
    command = step.make()
    argv = [*command.argv, *([f"--junitxml={junit}"] if step.counts_tests else [])]
    environment = child_environment(command.environment)
    program = shutil.which(argv[0], path=environment["PATH"])
    if program is None:
        raise FileNotFoundError(f"the program '{argv[0]}' is not on this machine")
    stream = log.open("wb") if log else None
    try:
        return subprocess.run(
            [program, *argv[1:]], cwd=command.folder, env=environment, stdin=subprocess.DEVNULL, stdout=stream,
            stderr=subprocess.STDOUT if stream else None, timeout=STEP_SECONDS, check=False,
        ).returncode  # fmt: skip
    finally:
        if stream:
            stream.close()


def _counts(junit: Path) -> tuple[int, int, int]:
    """Return the tests passed, failed and skipped that a JUnit file tells of; nothing when there is none."""
    if not junit.exists():
        return 0, 0, 0
    suites = list(ElementTree.parse(junit).getroot().iter("testsuite"))  # noqa: S314 - our own file

    def total(*keys: str) -> int:
        return sum(int(suite.get(key, "0")) for suite in suites for key in keys)

    failed, skipped = total("failures", "errors"), total("skipped")
    return total("tests") - failed - skipped, failed, skipped


def _report(outcome: Outcome, *, log: Path | None) -> None:
    with _printing:
        text = log.read_text(errors="replace").splitlines() if log and log.exists() else []
        print(f"\n== {outcome.stage}: {outcome.step}: {outcome.verdict} in {outcome.seconds:.0f} s", flush=True)
        if outcome.note:
            print(f"   {outcome.note}")
        shown = text[-TAIL_LINES:] if outcome.verdict == "FAILED" else text[-1:]
        print("\n".join(f"   {line}" for line in shown), flush=True)


def summarise(outcomes: Sequence[Outcome], *, seconds: float, live: bool = False) -> int:
    """Print the table and the closing line; return the exit status."""
    print(f"\n{'stage':<12} {'verdict':<8} {'time':>6} {'passed':>7} {'failed':>7} {'skipped':>8}  step")
    for one in outcomes:
        print(
            f"{one.stage:<12} {one.verdict:<8} {one.seconds:>4.0f} s {one.passed:>7} {one.failed:>7} "
            f"{one.skipped:>8}  {one.step}{': ' + one.note.splitlines()[0] if one.note else ''}"
        )
    passed, failed, skipped = (sum(getattr(one, key) for one in outcomes) for key in ("passed", "failed", "skipped"))
    print(f"in {seconds:.0f} s" + ("" if live else "; logs are in .cache/logs"))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed else 0


def main(arguments: Sequence[str]) -> int:
    """Run the stages named on so many lanes and return 1 when anything failed."""
    parser = argparse.ArgumentParser(description="Run stages of the tests.")
    parser.add_argument("--lanes", type=int, default=1, help="how many stages at a time")
    parser.add_argument("stages", nargs="+", choices=sorted(STAGES), metavar="STAGE")
    chosen = parser.parse_args(arguments)
    for folder in ("logs", "junit"):
        (CACHE / folder).mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    began = time.monotonic()
    live = chosen.lanes == 1
    with ThreadPoolExecutor(max_workers=chosen.lanes) as lanes:
        outcomes = [one for stage in lanes.map(lambda name: run_stage(name, live=live), chosen.stages) for one in stage]
    return summarise(outcomes, seconds=time.monotonic() - began, live=live)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
