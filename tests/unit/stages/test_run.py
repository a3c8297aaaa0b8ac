# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of the stages: what it counts, and that nothing which failed or did not run looks well."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible_collections.fleetcare.maintenance.tests.stages import environments, run
from ansible_collections.fleetcare.maintenance.tests.stages.environments import Environment
from ansible_collections.fleetcare.maintenance.tests.stages.steps import Command, Step

JUNIT = """\
<testsuites><testsuite name="a" tests="5" failures="1" errors="1" skipped="1"/>
<testsuite name="b" tests="2" failures="0" errors="0" skipped="0"/></testsuites>
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the runner a cache of its own."""
    for name in ("logs", "junit"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(run, "CACHE", tmp_path)
    return tmp_path


def program(code: str) -> Step:
    return Step("a program", lambda: Command([sys.executable, "-c", code]))


def test_counts_of_every_suite_are_added(tmp_path):
    (tmp_path / "report.xml").write_text(JUNIT)
    assert run._counts(tmp_path / "report.xml") == (4, 2, 1)


def test_a_program_that_fails_is_one_failure_and_shows_its_output(capsys):
    outcome = run.run_step("stage", 0, program("print('why it failed'); raise SystemExit(3)"), live=False)
    assert (outcome.verdict, outcome.passed, outcome.failed) == ("FAILED", 0, 1)
    assert "why it failed" in capsys.readouterr().out


def test_a_test_run_that_dies_before_it_counts_is_a_failure():
    step = Step("tests", lambda: Command([sys.executable, "-c", "raise SystemExit(4)"]), counts_tests=True)
    outcome = run.run_step("stage", 0, step, live=False)
    assert (outcome.verdict, outcome.failed) == ("FAILED", 1)


def test_a_program_that_is_not_there_is_named(capsys):
    step = Step("absent", lambda: Command(["no-such-program-anywhere"]))
    outcome = run.run_step("stage", 0, step, live=False)
    assert outcome.verdict == "FAILED"
    assert "the program 'no-such-program-anywhere' is not on this machine" in capsys.readouterr().out


def test_a_missing_interpreter_is_said_aloud_and_never_counted_as_passed(capsys):
    step = Step("old", lambda: Command(["true"]), environment=Environment(core="2.17", pythons=("2.6",)))
    outcome = run.run_step("stage", 0, step, live=False)
    assert (outcome.verdict, outcome.passed, outcome.skipped) == ("NOT RUN", 0, 1)
    assert "no Python 2.6 on this machine" in capsys.readouterr().out


def test_the_last_line_counts_and_a_failure_is_the_exit_status(capsys):
    outcomes = [
        run.Outcome("units", "units", "passed", 1.0, passed=7),
        run.Outcome("lint", "ruff", "FAILED", 1.0, failed=1),
        run.Outcome("lint", "sanity", "NOT RUN", 0.0, skipped=1, note="no Python 3.13 on this machine"),
    ]
    assert run.summarise(outcomes, seconds=2.0) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "7 passed, 1 failed, 1 skipped"
    assert run.summarise(outcomes[:1], seconds=1.0) == 0


def test_logs_are_named_only_where_they_are_written(capsys):
    run.summarise([], seconds=1.0, live=True)
    assert "logs" not in capsys.readouterr().out
    run.summarise([], seconds=1.0)
    assert "logs are in .cache/logs" in capsys.readouterr().out


def test_a_shim_is_not_an_interpreter(tmp_path, monkeypatch):
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "python3.99").write_text("#!/bin/sh\nexit 0\n")
    (shims / "python3.99").chmod(0o755)
    monkeypatch.setenv("PATH", str(shims))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert environments.find_interpreter("3.99") is None
    real = tmp_path / "versions/3.99.1/bin/python3.99"
    real.parent.mkdir(parents=True)
    real.write_text("#!/bin/sh\nexit 0\n")
    real.chmod(0o755)
    assert environments.find_interpreter("3.99") == real


def test_what_is_gone_from_the_checkout_goes_from_the_copy_and_caches_stay(tmp_path):
    for name in ("plugins/old/gone.py", "plugins/kept.py", "tests/output/.tmp/venv", ".git/config"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    environments._remove_others(tmp_path, keep={"plugins/kept.py", ".git", "tests/output"})
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == [".git/config", "plugins/kept.py", "tests/output/.tmp/venv"]
