# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assertions on answers, one by one."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.content import (
    Content,
    TooSlow,
    assertions,
    judge,
    judge_json,
    parse_json,
    searched,
)


def broken(document: Any, **assertion: Any) -> list[str]:
    return list(judge_json(document, assertions([assertion], option="json")))


HEALTH = {"status": "ok", "checks": {"db": {"status": "up", "ms": 12.5}, "cache": {"status": "down", "ms": 3}}, "n": 1}


@pytest.mark.parametrize(
    ("assertion", "words"),
    [
        ({"path": "status", "equals": "ok"}, []),
        ({"path": "status", "equals": "OK"}, ['status is "ok", not "OK"']),
        ({"path": "n", "equals": True}, ["n is 1, not true"]),
        ({"path": "n", "equals": 1.0}, []),
        ({"path": "n", "equals": "1"}, ['n is 1, not "1"']),
        ({"path": "checks", "equals": HEALTH["checks"]}, []),
        ({"path": "checks", "equals": {}}, ["checks is an object of 2, not an object of 0"]),
        ({"path": "checks.*.status", "in": ["up", "ok"]}, ['checks.cache.status is "down", not one of "up", "ok"']),
        ({"path": "checks.db.ms", "min": 10, "max": 20}, []),
        ({"path": "checks.*.ms", "max": 5}, ["checks.db.ms is 12.5, not at most 5"]),
        ({"path": "status", "min": 1}, ['status is "ok", not at least 1']),
        ({"path": "status", "matches": "^o"}, []),
        ({"path": "n", "matches": "1"}, ["n is 1, not text that matches 1"]),
        ({"path": "checks.mail"}, ["checks.mail is not there"]),
        ({"path": "checks.mail", "equals": "up"}, ["checks.mail is not there"]),
        ({"path": "checks.mail", "exists": False}, []),
        ({"path": "status", "exists": False}, ["status is there, but must not be"]),
        ({"path": "status"}, []),
    ],
)
def test_an_assertion_holds_or_says_what_is_there_instead(assertion: dict[str, Any], words: list[str]) -> None:
    assert broken(HEALTH, **assertion) == words


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_every_document_equals_itself_after_a_journey_over_the_wire(value: Any) -> None:
    document = parse_json(json.dumps({"value": value}).encode())
    assert broken(document, path="value", equals=value) == []


@given(st.booleans(), st.sampled_from([0, 1, 0.0, 1.0]))
def test_a_truth_value_never_equals_a_number(truth: bool, number: float) -> None:
    assert broken({"a": [truth]}, path="a", equals=[number])


@pytest.mark.parametrize(
    ("raw", "option"),
    [
        ("status", "json[0]"),
        ({"equals": 1}, "json[0]"),
        ({"path": "a..b"}, "json[0].path"),
        ({"path": "a", "equal": 1}, "json[0].equal"),
        ({"path": "a", "min": "much"}, "json[0].min"),
        ({"path": "a", "max": True}, "json[0].max"),
        ({"path": "a", "matches": "("}, "json[0].matches"),
        ({"path": "a", "in": {}}, "json[0].in"),
        ({"path": "a", "exists": "perhaps"}, "json[0].exists"),
        ({"path": "a", "exists": False, "equals": 1}, "json[0].exists"),
    ],
)
def test_a_wrong_assertion_is_named(raw: Any, option: str) -> None:
    with pytest.raises(OptionError) as caught:
        assertions([raw], option="json")
    assert caught.value.option == option


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Expecting value at character 0"),
        (b"<html>", "Expecting value"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b"1" * 100_000, "thousands of digits"),
        (b'{"a": NaN}', "it holds NaN"),
    ],
)
def test_what_is_not_json_cannot_hurt(body: bytes, words: str) -> None:
    content = Content(json=assertions([{"path": "a"}], option="json"))
    (failure,) = judge(content, headers=[], body=body, whole=True)
    assert words in failure


def judged(
    body: bytes = b"", *, headers: list[tuple[str, str]] | None = None, whole: bool = True, **content: Any
) -> tuple[str, ...]:
    return judge(Content(**content), headers=headers or [], body=body, whole=whole)


def test_body_patterns() -> None:
    one, other = re.compile("Welcome"), re.compile("Fatal error")
    assert judged(b"Welcome", body_matches=(one,), body_lacks=(other,)) == ()
    assert judged(b"Fatal error", body_matches=(one,), body_lacks=(other,)) == (
        "body does not match Welcome",
        "body matches Fatal error, which must not be there",
    )
    assert judged(b"x", whole=False, body_matches=(one,)) == ("body does not match Welcome as far as it was read",)


def test_header_patterns() -> None:
    wanted = (("Cache-Control", re.compile("no-store")), ("X-Missing", re.compile("")))
    assert judged(headers=[("cache-control", "public")], header_matches=wanted) == (
        "header Cache-Control is public, which does not match no-store",
        "header X-Missing is not there",
    )
    assert judged(headers=[("CACHE-CONTROL", "private, no-store"), ("x-missing", "")], header_matches=wanted) == ()
    cookie = (("Set-Cookie", re.compile("Secure")),)
    assert "abc" not in judged(headers=[("Set-Cookie", "id=abc")], header_matches=cookie)[0]


def test_a_compressed_or_cut_body_is_not_judged_as_if_it_had_been_read() -> None:
    wanted: dict[str, Any] = {"body_lacks": (re.compile("error"),)}
    assert "encoded as gzip" in judged(b"\x1f\x8b", headers=[("Content-Encoding", "gzip")], **wanted)[0]
    cut = judged(b'{"a": 1', whole=False, json=assertions([{"path": "a"}], option="json"))
    assert cut == ("body is not JSON: it is larger than max_bytes",)


def test_a_pattern_that_searches_for_ever_is_stopped() -> None:
    assert threading.current_thread() is threading.main_thread()
    evil = re.compile(r"(a|aa)+$")
    with pytest.raises(TooSlow):
        searched(evil, "a" * 200 + "b")
    assert "did not come to an end" in judged(b"a" * 200 + b"b", body_matches=(evil,))[0]


def test_evidence_is_short_and_printable() -> None:
    (failure,) = broken({"a": "\x1b[31m" + "x" * 10_000}, path="a", equals="ok")
    assert failure.isprintable()
    assert len(failure) < 120
