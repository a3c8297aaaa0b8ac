# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that are told by their place in the file are the very ones that would have been read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import pieces
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import follow
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.spans import text_of

_ABOUT_THE_LIMIT = [b"\n" + b"y" * size + b"\n" for size in (99, 100, 101, 102)]


@pytest.mark.parametrize("live", [True, False])
@given(
    pieces_=st.lists(
        st.one_of(st.binary(max_size=30), st.sampled_from([b"\n", b"\0" * 40, b"x" * 300, *_ABOUT_THE_LIMIT])),
        max_size=30,
    ),
    budget=st.one_of(st.none(), st.integers(300, 900)),
    longest=st.integers(1, 400),
)
def test_lines_told_by_their_place_are_the_lines_that_blocks_give(
    tmp_path_factory: pytest.TempPathFactory, live: bool, pieces_: list[bytes], budget: int | None, longest: int
) -> None:
    folder = tmp_path_factory.mktemp("spans")
    path = folder / "app.log"
    path.write_bytes(b"begin\n")
    begun = follow(str(path), None, first="start")
    list(begun.blocks())
    with path.open("ab") as stream:
        stream.write(b"".join(pieces_))
    if not live:
        path.rename(folder / "app.log.1")
        path.write_bytes(b"new\n")
    told: dict[bool, tuple[list[bytes], int, int]] = {}
    with pytest.MonkeyPatch.context() as patch:
        # As in earnest, a block is no longer than the longest line.
        patch.setattr(pieces, "BLOCK", 100)
        patch.setattr(pieces, "LONGEST", longest)
        for by_place in (False, True):
            mark, parts, cut_lines, cut_bytes = begun.mark(), [], 0, 0
            for _run in range(200):
                trail = follow(str(path), mark, budget=budget, limit=100)
                for stretch in trail.stretches() if by_place else trail.blocks():
                    assert trail.mark() != mark
                    parts.append(text_of(stretch))
                cut_lines, cut_bytes = cut_lines + trail.cut_lines, cut_bytes + trail.cut_bytes
                assert trail.lost is None
                if trail.mark() == mark:
                    break
                mark = trail.mark()
            told[by_place] = (b"".join(parts).replace(b"\0", b"").split(b"\n"), cut_lines, cut_bytes)
    assert sorted(told[True][0]) == sorted(told[False][0])
    if budget is None:
        assert told[True] == told[False]
