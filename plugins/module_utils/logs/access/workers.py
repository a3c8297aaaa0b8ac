# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pass in one process or in several, over the blocks that one reader hands out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count, cycle
from typing import TYPE_CHECKING, Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.passing import SLICE, Pass
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.tally import Tally

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: What is handed to another process at once.
_PARCEL = 512 * 1024

Blocks = Iterable[bytes]


def tally_of(make: Callable[[], Pass], blocks: Blocks, *, workers: int) -> Tally:
    """Count blocks of whole lines with ``workers`` processes; one is this one. Raises MaintenanceError."""
    if workers <= 1:
        return make().run(_joined(blocks, SLICE))
    return _spread(make, _joined(blocks, _PARCEL), workers)


def _joined(blocks: Blocks, size: int) -> Iterator[bytes]:
    """Blocks joined to pieces of at least ``size`` bytes."""
    held, gathered = 0, []
    for block in blocks:
        gathered.append(block)
        held += len(block)
        if held >= size:
            yield b"".join(gathered) if len(gathered) > 1 else block
            held, gathered = 0, []
    if gathered:
        yield b"".join(gathered)


def _spread(make: Callable[[], Pass], parcels: Iterator[bytes], workers: int) -> Tally:
    # One process, as most reviews are, need not wait for the import.
    import multiprocessing

    # The modules of Ansible live in an archive that a fresh interpreter could not import from; a fork has them.
    context = multiprocessing.get_context("fork")
    helpers: list[tuple[Any, Connection]] = []
    try:
        for number in range(workers):
            ours, theirs = context.Pipe()
            about = (make, theirs, [pipe for _one, pipe in helpers], count(number, workers))
            helper = context.Process(target=_help, args=about, daemon=True)
            helper.start()
            theirs.close()
            helpers.append((helper, ours))
        for (_helper, pipe), parcel in zip(cycle(helpers), parcels):
            pipe.send_bytes(parcel)
        for _helper, pipe in helpers:
            pipe.send_bytes(b"")
        return _merged([pipe.recv() for _helper, pipe in helpers])
    except (EOFError, OSError) as error:
        raise MaintenanceError(
            f"One of the {workers} processes that read the access log has ended early ({error or 'no answer'})."
        ) from None
    finally:
        for helper, pipe in helpers:
            pipe.close()
            helper.join(5)
            if helper.is_alive():
                helper.kill()


def _help(make: Callable[[], Pass], pipe: Connection, others: list[Connection], numbers: Iterable[int]) -> None:
    """A helper's life: parcels in until an empty one comes, then its tally out.

    ``numbers`` are those of its parcels in the log.
    """
    for other in others:
        other.close()
    counting = make()

    def parcels() -> Iterator[bytes]:
        for number, parcel in zip(numbers, iter(pipe.recv_bytes, b"")):
            # The next is asked for once the last is counted.
            counting.begin(number)
            yield parcel

    pipe.send(counting.run(parcels()))


def _merged(tallies: list[Tally]) -> Tally:
    merged = tallies[0]
    for other in tallies[1:]:
        merged.merge(other)
    return merged
