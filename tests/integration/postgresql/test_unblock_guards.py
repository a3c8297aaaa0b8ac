# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes between the plan and the signal, what goes wrong after it, and how much may be done at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import psycopg
import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Ledger
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import unblock, unblock_act
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.waiting import (
    Shop,
    one_version,
    opened,
    reason,
    repair,
)


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    with opened(database) as shop:
        yield shop


@one_version
def test_who_has_gone_by_the_time_is_not_needed_any_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = shop.hold()
    waiting = shop.wait()

    def execute(*arguments: Any, **more: Any) -> Any:
        holder.rollback()
        waiting.join()
        return real(*arguments, **more)

    real = unblock.execute
    monkeypatch.setattr(unblock, "execute", execute)
    result = repair(shop, terminate=True)

    assert len(result["plan"]) == 1
    assert (result["changed"], result["failures"], result["status"]) == (False, [], "ok")
    assert reason(result) == "terminate was planned, but its transaction has ended by itself, and the session is idle"
    assert not (shop.database.state_dir / "postgresql_unblock.ledger").exists()


@one_version
@pytest.mark.parametrize("change", ["another transaction", "works again", "nobody waits"])
def test_the_signal_itself_looks_once_more(shop: Shop, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """What happens in the last moment, when all has been looked at and the budget is charged."""
    holder = shop.hold()
    waiting = shop.wait()

    def charge(*_arguments: Any, **_more: Any) -> None:
        if change == "works again":
            shop.work(holder)
        elif change == "nobody waits":
            waiting.session.cancel()
            waiting.join()
        else:
            for statement in ("ROLLBACK", "BEGIN", "SELECT 1"):
                holder.execute(statement)

    monkeypatch.setattr(Ledger, "charge", charge)
    result = repair(shop, terminate=True)

    assert (result["changed"], result["failures"]) == (False, [])
    assert "it is not what it was any more" in reason(result)
    assert shop.database.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", holder.info.backend_pid) == 1


@one_version
def test_who_has_begun_to_wait_itself_is_no_root_any_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    gates = shop.database.connect()
    gates.execute("SELECT pg_advisory_lock(1), pg_advisory_lock(2)")
    working = (
        "DO $$ BEGIN LOOP EXIT WHEN pg_try_advisory_xact_lock(1); PERFORM pg_sleep(0.01); END LOOP; "
        "PERFORM pg_advisory_xact_lock(2); END $$"
    )
    blocking = shop.work(shop.hold(), working)
    shop.wait()

    def charge(*_arguments: Any, **_more: Any) -> None:
        gates.execute("SELECT pg_advisory_unlock(1)")
        shop.until(blocking, "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted")

    monkeypatch.setattr(Ledger, "charge", charge)
    result = repair(shop)

    assert (result["changed"], result["failures"]) == (False, [])
    assert "it is not what it was any more, and the session is active" in reason(result)
    assert blocking.thread.is_alive()


@one_version
def test_a_connection_that_is_lost_after_the_signal_is_no_all_clear(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocking = shop.work(shop.hold())
    shop.wait()
    real = unblock_act.Doer._waiting

    def waiting(doer: Any, process: Any) -> int:
        shop.database.rows("SELECT pg_terminate_backend(%s, 5000)", doer.session.connection.info.backend_pid)
        return real(doer, process)

    monkeypatch.setattr(unblock_act.Doer, "_waiting", waiting)
    result = repair(shop)
    (failure,) = result["failures"]

    assert (result["changed"], result["applied"], result["status"]) == (True, [], "warning")
    assert failure["done"] is True
    assert failure["error"].startswith("The signal was sent, and what came of it is not known: ")
    assert isinstance(blocking.join(), psycopg.errors.QueryCanceled)


@one_version
def test_nothing_is_begun_that_the_window_would_cut_off(shop: Shop) -> None:
    blocking = shop.work(shop.hold())
    shop.wait()
    soon = datetime.now(UTC) + timedelta(seconds=60)
    result = repair(shop, deadline=soon.isoformat(), patience=120.0)

    assert len(result["plan"]) == 1
    assert (result["changed"], result["status"]) == (False, "warning")
    assert "cancel was planned, but it may take 2 min" in reason(result)
    assert blocking.thread.is_alive()


@one_version
@pytest.mark.parametrize("name", ["started", "began"])
def test_another_with_the_same_pid_is_not_hit(shop: Shop, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As if it had got the pid of the one that was planned for."""
    holder = shop.hold()
    blocking = shop.work(holder)
    shop.wait()
    monkeypatch.setattr(unblock_act.Doer, "_require_needed", lambda *_arguments: None)
    real = unblock_act._parameters
    monkeypatch.setattr(
        unblock_act, "_parameters", lambda process: real(replace(process, **{name: getattr(process, name) - 1}))
    )
    result = repair(shop, terminate=True)

    assert (result["changed"], result["applied"], result["failures"]) == (False, [], [])
    assert blocking.thread.is_alive()


@one_version
def test_of_two_at_once_one_does_it(shop: Shop) -> None:
    blocking = shop.work(shop.hold())
    waiting = shop.wait()
    results: list[dict[str, Any]] = []
    threads = [Thread(target=lambda: results.append(repair(shop))) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [entry["action"] for result in results for entry in result["applied"]] == ["cancel"]
    assert [result["failures"] for result in results] == [[], []]
    assert isinstance(blocking.join(), psycopg.errors.QueryCanceled)
    assert waiting.join() is None


@one_version
def test_while_another_is_at_work_nothing_is_looked_at(shop: Shop) -> None:
    other = shop.database.cluster.connect("postgres")
    other.execute("SELECT pg_advisory_lock(%s)", (unblock.LOCK,))
    result = repair(shop)
    other.close()

    assert (result["status"], result["plan"]) == ("skipped", [])
    assert reason(result) == "another postgresql_unblock is at work on this server"


@one_version
def test_the_budgets_of_a_run_and_of_a_day_are_kept_by_all(shop: Shop) -> None:
    """Two in the way of others; the one with more waiters comes first, and what is left is told."""
    shop.database.execute("CREATE TABLE orders (id int)", "GRANT ALL ON orders TO PUBLIC")
    few = shop.session()
    few.execute("BEGIN")
    few.execute("LOCK TABLE orders")
    many = shop.hold()
    waiting = [shop.wait("LOCK TABLE orders"), shop.wait(), shop.wait()]
    first = repair(shop, terminate=True)
    second = repair(shop, terminate=True, max_sessions_per_day=1, state_consumer="another")
    third = repair(shop, terminate=True, max_sessions_per_day=2)

    assert [step["target"].split()[1] for step in first["applied"]] == [str(many.info.backend_pid)]
    assert first["status"] == "warning"
    assert "max_sessions is 1" in reason(first)
    assert second["plan"] == []
    assert "1 session ended in the last 24 h, this run included, and max_sessions_per_day is 1" in reason(second)
    assert [step["target"].split()[1] for step in third["applied"]] == [str(few.info.backend_pid)]
    assert [statement.join() for statement in waiting] == [None, None, None]


@one_version
def test_who_cannot_be_counted_is_not_ended(shop: Shop) -> None:
    shop.work(shop.hold())
    shop.wait()
    shop.database.state_dir.mkdir(mode=0o700)
    (shop.database.state_dir / "postgresql_unblock.ledger").write_text("{")
    result = repair(shop)

    assert (result["plan"], result["status"]) == ([], "warning")
    assert "how many were ended today is not known" in reason(result)
