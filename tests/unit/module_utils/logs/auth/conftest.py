# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines as the journal of two Debian hosts gave them, and answers to questions on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.checks import CHECKS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import Line
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.memory import Memory
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.questions import QUESTIONS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.review import Review
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.settings import Settings
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.view import View

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
            since=NOW - 7200,
            now=NOW,
        )
        return answer(view, QUESTIONS, [f"logs.{check}"], item="logins")[0]

    return asked
