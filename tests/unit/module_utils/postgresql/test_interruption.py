# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A signal becomes an exception for as long as there is something to clean up."""

from __future__ import annotations

import signal
import threading

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.interruption import interruptible


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_stop_is_an_exception_within_and_as_before_after(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match=f"signal {number.value}"), interruptible():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_in_a_thread_signals_are_left_alone() -> None:
    seen = []

    def look() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
