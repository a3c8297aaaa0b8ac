# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of a statement holds no data, whatever the statement and wherever it was cut off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.statement import without_literals

SECRET = "4711-eve"


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT * FROM t WHERE a = 'x''y' AND b=12.5e3", "SELECT * FROM t WHERE a = ? AND b=?"),
        ("SELECT E'it\\'s', B'01', U&'d\\0061t'", "SELECT ?, ?, ?"),
        ("SELECT $$any 'thing'$$, $tag$ $$ $tag$, $1", "SELECT ?, ?, $1"),
        ('SELECT "col 1", "a""b" FROM "User"', 'SELECT "col 1", "a""b" FROM "User"'),
        ("SELECT t1.c2 FROM t1 -- 4711\nWHERE x = .5", "SELECT t1.c2 FROM t1 WHERE x = ?"),
        ("SELECT /* 4711 'eve' */ 1", "SELECT ?"),
        ("SELECT 'cut of", "SELECT ?"),
        ("SELECT $$cut of", "SELECT ?"),
        ("SELECT /* cut of", "SELECT"),
        ("SELECT 1_000, -3, 0x1F", "SELECT ?, -?, ?"),
        ("SELECT 1.5e-3, 1., 2e5 FROM t", "SELECT ?, ?., ? FROM t"),
        ("SELECT 'a\\', b FROM t WHERE c = 'd'", "SELECT ?"),
        ("", ""),
    ],
)
def test_texts_numbers_and_comments_are_left_out(statement: str, shown: str) -> None:
    assert without_literals(statement) == shown


@given(st.text(alphabet=st.characters(exclude_characters="'", exclude_categories=["Cs"])), st.integers(0, 60))
def test_a_cut_text_never_shows_its_inside(inside: str, cut: int) -> None:
    statement = f"CALL note('{SECRET}{inside}', '{SECRET}')"

    assert SECRET not in without_literals(statement)
    assert SECRET not in without_literals(statement[: len("CALL note('") + cut])


@given(st.text(max_size=400))
def test_any_text_ends_in_one_short_line(statement: str) -> None:
    shown = without_literals(statement, limit=80)

    assert len(shown) <= 80
    assert "\n" not in shown
    assert "\x1b" not in shown
