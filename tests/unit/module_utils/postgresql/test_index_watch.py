# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on an index is watched from a connection of its own, and does not go on where that sees nothing any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import index_watch
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_budget import Allowance


@pytest.mark.parametrize("error", [ConnectError("it is gone"), Absent("not allowed any more")])
def test_what_cannot_be_watched_any_more_is_stopped(monkeypatch: pytest.MonkeyPatch, error: MaintenanceError) -> None:
    cancelled = threading.Event()

    @contextmanager
    def connected(*_arguments: Any, **_options: Any) -> Iterator[object]:
        yield object()

    def lag(*_arguments: Any) -> tuple[float, str]:
        raise error

    monkeypatch.setattr(index_watch, "connect", connected)
    monkeypatch.setattr(index_watch, "standby_lag", lag)
    monkeypatch.setattr(index_watch, "Watcher", partial(index_watch.Watcher, interval=0.001))
    session: Any = SimpleNamespace(login=None, database="shop", cancel=cancelled.set)

    def work() -> None:
        with index_watch.watched(session, None, Allowance(lag=1, pressure=0)):  # type: ignore[arg-type]
            assert cancelled.wait(30)
            raise MaintenanceError("canceling statement due to user request")

    with pytest.raises(MaintenanceError, match=f"Stopped: .*{error.message}"):
        work()
