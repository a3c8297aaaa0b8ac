# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from hosts, and figures for people."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import (
    clean,
    counted,
    duration,
    number,
    quantity,
    redact,
    shorten,
)


@given(st.text())
def test_clean_text_is_one_printable_line(text):
    cleaned = clean(text)
    assert len(cleaned) <= 300
    assert not [sign for sign in cleaned if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp")]
    cleaned.encode("utf-8")


@given(st.text(alphabet=st.sampled_from("\x1b[]0;31m\x07\x9bP_^\\abc\x1b")))
def test_no_escape_survives(text):
    assert "\x1b" not in clean(text)
    assert "\x9b" not in clean(text)


def test_whether_a_password_was_used_is_no_secret():
    said = "Access denied for user 'root'@'192.0.2.1' (using password: YES)"
    assert redact(said) == said
    assert redact("password: YES") == "password: ***"


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x1b[\x1b[0m31mx", "31mx"),
        ("a\r\nb\tc\x00d", "a b c d"),
        ("user\u202etxt.exe", "user txt.exe"),
        ("a\u061cb\ufeffc", "a b c"),
        ("\ud800", "\ufffd"),
        (None, "None"),
        ("  x  ", "x"),
    ],
)
def test_hostile_text_is_made_harmless(raw, cleaned):
    assert clean(raw) == cleaned


def test_a_line_of_megabytes_is_cut_before_it_is_searched():
    assert clean("x" * 10_000_000, limit=10) == "xxxxxxxxx…"
    assert shorten("abc", limit=3) == "abc"


@pytest.mark.parametrize(
    ("raw", "secret"),
    [
        ("postgres://app:hunter2@db/x", "hunter2"),
        ("DATABASE_PASSWORD=hunter2", "hunter2"),
        ('{"api_key": "hunter2"}', "hunter2"),
        ("Authorization: Bearer hunter2hunter2", "hunter2"),
        ("Cookie: session=hunter2; other=hunter2", "hunter2"),
        ("mysqldump --password=hunter2 db", "hunter2"),
        ("mysql -p hunter2", "hunter2"),
        ("bearer hunter2hunter2", "hunter2"),
        ("-----BEGIN RSA PRIVATE KEY-----hunter2-----END RSA PRIVATE KEY-----", "hunter2"),
        ("token: 'hunter2 with blanks'", "hunter2"),
        ("PGPASSWORD=hunter2 pg_dump", "hunter2"),
    ],
)
def test_secrets_do_not_pass(raw, secret):
    assert secret not in redact(raw)
    assert "***" in redact(raw)


@pytest.mark.parametrize("text", ["the password is wrong", "https://example.org:8080/x", "basic auth", "mkdir -p /x"])
def test_plain_words_stay(text):
    assert redact(text).split()[0] == text.split()[0]


@given(st.text())
def test_redacting_twice_changes_nothing_more(text):
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (85.64, "%", "85.6 %"),
        (0.0004, "%", "0 %"),
        (5.678, "%", "5.68 %"),
        (-0.0001, "%", "0 %"),
        (1023, "B", "1023 B"),
        (1024, "B", "1 KiB"),
        (1048575, "B", "1 MiB"),
        (1610612736, "B", "1.5 GiB"),
        (-2048, "B", "-2 KiB"),
        (2**70, "B", "1048576 PiB"),
        (1536, "B/s", "1.5 KiB/s"),
        (0, "s", "0 s"),
        (0.35, "s", "350 ms"),
        (59.999, "s", "60 s"),
        (60, "s", "1 min"),
        (200, "s", "3 min 20 s"),
        (7500, "s", "2 h 5 min"),
        (187200, "s", "2 d 4 h"),
        (-90, "s", "-1 min 30 s"),
        (12, "", "12"),
        (7.0, "d", "7 d"),
    ],
)
def test_figures_are_worded_with_their_unit(value, unit, words):
    assert quantity(value, unit) == words


@given(st.floats(min_value=-1e15, max_value=1e15))
def test_figures_are_never_in_exponent_form(value):
    assert "e" not in number(value)
    assert duration(abs(value)).split()[1] in ("s", "ms", "min", "h", "d")


@given(st.integers(0, 2**60))
def test_sizes_never_reach_the_next_prefix(size):
    figure, prefix = quantity(size, "B").split()
    assert float(figure) < 1024 or prefix == "PiB"


def test_plurals():
    assert [counted(1, "unit"), counted(2, "unit"), counted(0, "query", "queries")] == [
        "1 unit",
        "2 units",
        "0 queries",
    ]
