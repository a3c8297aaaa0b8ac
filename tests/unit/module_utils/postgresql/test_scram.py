# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords as the server keeps them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.scram import matches, verifier

#: As PostgreSQL 17 keeps the password ``tests-only``.
CAPTURED = (
    "SCRAM-SHA-256$4096:uwXNxq4t6vYjy28GbqPtDA==$"
    "IhhWwtC1q3CN7u0mQKw/eNGYi/NtBIxC6a+oIROIhlI=:tbwpzFV4LalmkyQRgUSGNWHkovsLizGd7W1e4HaMkRM="
)
passwords = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)


@given(passwords, passwords)
def test_a_verifier_is_of_its_own_password_alone(password: str, other: str) -> None:
    kept = verifier(password, iterations=2)

    assert matches(password, kept)
    assert matches(other, kept) == (other == password)


def test_what_a_server_made_of_a_password_is_known() -> None:
    assert matches("tests-only", CAPTURED)
    assert not matches("tests-onlY", CAPTURED)
    assert not matches("tests-only", CAPTURED[:-8] + "AAAAAAA=")


def test_two_verifiers_of_one_password_differ() -> None:
    assert verifier("tests-only", iterations=2) != verifier("tests-only", iterations=2)


@pytest.mark.parametrize(
    "kept",
    ["", "md5deadbeef", "tests-only", "SCRAM-SHA-256$x:y$z", "SCRAM-SHA-256$4096:$:", "SCRAM-SHA-1$2:YWE=$a:b", "$$"],
)
def test_what_is_kept_in_another_way_is_no_match(kept: str) -> None:
    assert not matches("tests-only", kept)
