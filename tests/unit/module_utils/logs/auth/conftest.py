# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines as the journal of two Debian hosts gave them, and answers to questions on them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import collect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.checks import CHECKS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import Line
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.memory import Memory
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.options import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.progress import Covered
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.questions import QUESTIONS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.review import Review
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.settings import Settings
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.view import View
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE as ALL

FIXTURES = Path(__file__).parent / "fixtures"
CATALOGUE = Catalogue("logs", CHECKS)
#: 2026-11-25 12:00:00 UTC
NOW = 1_795_608_000.0


def journal(suite: str) -> Iterator[Line]:
    """The captured journal of Debian 12 (OpenSSH 9.2) or 13 (OpenSSH 10.0)."""
    with (FIXTURES / f"journal_{suite}.jsonl").open() as stream:
        for entry in map(json.loads, stream):
            yield Line(
                when=int(entry["__REALTIME_TIMESTAMP"]) / 1e6,
                program=entry["SYSLOG_IDENTIFIER"],
                message=entry["MESSAGE"],
                pid=entry.get("SYSLOG_PID", entry["_PID"]),
                uid=int(entry["_UID"]),
                comm=entry.get("_COMM", ""),
                exe=entry.get("_EXE", ""),
            )


@pytest.fixture
def review() -> Review:
    return make_review()


def make_review(*, memory: dict | None = None, **settings: object) -> Review:
    return Review(Settings(**settings), Memory(memory or {}, now=NOW, networks_days=90))


def sshd(review: Review, message: str, *, when: float = NOW - 3600, pid: str = "7", program: str = "sshd") -> None:
    review.take(Line(when, program, message, pid=pid, uid=0))


@pytest.fixture
def ask() -> Callable[..., list]:
    """Ask one check of what was added up."""

    def asked(check: str, logins=None, kernel=None, *, memory=None, listeners=(), levels=None, settings=None):
        view = View(
            memory=memory or {},
            catalogue=CATALOGUE,
            book=LevelBook(levels),
            settings=settings or Settings(),
            logins=logins,
            kernel=kernel,
            sources=(),
            listeners=listeners,
            covered=(Covered(NOW - 7200, NOW),),
            now=NOW,
        )
        return answer(view, QUESTIONS, [f"logs.{check}"], item="logins")[0]

    return asked


class At(Clock):
    """A clock that says what it is told."""

    def __init__(self, when=NOW):
        self.when = datetime.fromtimestamp(when, timezone.utc)

    def now(self):
        return self.when


@pytest.fixture
def run(tmp_path):
    defaults = {name: option.get("default") for name, option in ARGUMENTS.items()}

    def ran(*checks, when=NOW, check_mode=False, **params):
        return perform(
            check,
            params={
                **defaults, "max_bytes": 256 * 1024**2, "levels": {}, "checks": list(checks),
                "state_dir": str(tmp_path / "state"), "state_consumer": "one", "state_acknowledged": None, **params,
            },
            check_mode=check_mode,
            name="auth_log_review",
            catalogue=ALL,
            repair=False,
            clock=At(when),
        )  # fmt: skip

    return ran


@pytest.fixture
def auth(tmp_path):
    path = tmp_path / "auth.log"
    shutil.copy(FIXTURES / "auth_iso.log", path)
    return path


def by_check(result):
    return {finding["check"]: finding for finding in result["findings"]}


def numbers(result):
    return {metric["name"]: metric["value"] for metric in result["metrics"]}


def iso_lines(*messages, when=NOW, program="sshd[7]"):
    stamp = datetime.fromtimestamp(when, timezone.utc).isoformat()
    return "".join(f"{stamp} host {program}: {message}\n" for message in messages)


KEY = "ED25519 SHA256:TX/isXpFw/OuMLAeO/+xhRfw7Mgww/D8U7FAOjCTB5I"
FAILED = "Failed password for root from 203.0.113.9 port 4 ssh2"


@pytest.fixture
def usual(tmp_path, monkeypatch):
    """The usual files of a host, below a folder for the test."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for name in ("LOGIN_FILES", "KERNEL_FILES", "SHARED_FILES"):
        monkeypatch.setattr(collect, name, tuple(f"{tmp_path}{path}" for path in getattr(collect, name)))
    (tmp_path / "var/log").mkdir(parents=True)
    yield tmp_path / "var/log"
    monkeypatch.undo()
    time.tzset()
