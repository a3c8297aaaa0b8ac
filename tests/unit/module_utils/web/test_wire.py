# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of answers, fed by hand: grammar, limits, and no dependence on how the bytes were cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web import wire
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.url import parse
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.wire import ResponseReader, WireError, request


def read(
    data: bytes, *, method: str = "GET", max_bytes: int = 1000, closes: bool = True, step: int = 0
) -> wire.Response:
    reader = ResponseReader(method=method, max_bytes=max_bytes, keep_body=True)
    step = step or len(data) or 1
    for start in range(0, len(data), step):
        if reader.feed(data[start : start + step]):
            break
    if closes:
        reader.end()
    return reader.response


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

WELL_FORMED = [
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcXX", b"abc", id="counted"),
    pytest.param(b"HTTP/1.0 200\r\n\r\nabc", b"abc", id="until close, no reason"),
    pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", b"abc", id="bare line feeds"),
    pytest.param(CHUNKED + b"2;a=b\r\nab\r\n1\r\nc\r\n0\r\nTrailer: x\r\n\r\n", b"abc", id="chunked"),
    pytest.param(
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc", id="interim"
    ),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\ncontent-length: 3\r\n\r\nabc", b"abc", id="same lengths"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"abc",
        id="chunked wins",
    ),
    pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", id="no content"),
]


@pytest.mark.parametrize(("data", "body"), WELL_FORMED)
@pytest.mark.parametrize("step", [1, 2, 7, 0])
def test_an_answer_is_read_however_it_is_cut(data: bytes, body: bytes, step: int) -> None:
    response = read(data, step=step)
    assert (bytes(response.body), response.size, response.oversize) == (body, len(body), False)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not begin like"),
        (b"\x16\x03\x01" * 40, "does not begin like"),
        (b"HTTP/2 200\r\n\r\n", "does not begin like"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "status line is malformed"),
        (b"HTTP/1.1 abc\r\n\r\n", "status line is malformed"),
        (b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n", "header field is malformed"),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "header field is malformed"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", "header field is malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "not one whole number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n", "not one whole number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n", "not one whole number"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "not asked for"),
        (CHUNKED + b"zz\r\n", "size is malformed"),
        (CHUNKED + b"2\r\nabc\r\n", "longer than it says"),
        (CHUNKED + b"ffffffffffffffff\r\n", "size is malformed"),
        (CHUNKED + b"2\r\nab\r\n", "in the middle of the body"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "in the middle of the body, after 3 B"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n", "in the middle of the response head"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 12, "interim"),
    ],
)
@pytest.mark.parametrize("step", [1, 0])
def test_broken_grammar_is_one_sentence(data: bytes, words: str, step: int) -> None:
    with pytest.raises(WireError, match=words):
        read(data, step=step)


@pytest.mark.parametrize(
    ("begin", "piece", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"a" * 65536, "head is longer"),
        (b"HTTP/1.1 200 OK\r\n", b"X: a\r\n" * 10_000, "head is longer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 201 + b"\r\n", b"", "more than 200 fields"),
        (CHUNKED + b"0\r\n", b"X: a\r\n" * 2000, "trailer fields are longer"),
        (CHUNKED + b"0\r\n", b"a" * 9000, "trailer field is longer"),
        (CHUNKED, b"1;" + b"a" * 2000, "size line is longer"),
        (CHUNKED, b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n" * 1000, "more framing than body"),
    ],
)
def test_what_never_ends_is_cut_and_not_kept(begin: bytes, piece: bytes, words: str) -> None:
    reader = ResponseReader(method="GET", max_bytes=1 << 30, keep_body=True)
    with pytest.raises(WireError, match=words):
        any(reader.feed(data) for data in (begin, *[piece] * 1000))
    assert len(reader._buffer) < 200_000


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 1001,
        CHUNKED + b"3e9\r\n" + b"a" * 1001,
    ],
)
def test_a_body_beyond_the_limit_ends_the_reading_without_an_error(data: bytes) -> None:
    response = read(data, closes=False)
    assert response.oversize
    assert response.size > 1000
    assert len(response.body) <= 1000


def test_only_a_snippet_is_kept_of_a_body_nobody_looks_at() -> None:
    reader = ResponseReader(method="GET", max_bytes=1_000_000, keep_body=False)
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"a" * 100_000)
    assert (reader.response.size, len(reader.response.body)) == (100_000, wire.SNIPPET)


def test_head_has_no_body_whatever_it_says() -> None:
    assert read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", method="HEAD", closes=False).size == 0


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.integers(1, 50))
def test_any_body_comes_through_chunks_of_any_size(pieces: list[bytes], step: int) -> None:
    body = b"".join(pieces)
    data = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    assert bytes(read(data, max_bytes=10_000, step=step, closes=False).body) == body


@given(st.binary(max_size=2000), st.integers(1, 100), st.booleans())
def test_arbitrary_bytes_end_in_an_answer_or_in_a_wire_error(data: bytes, step: int, begins: bool) -> None:
    try:
        outcome = str(read((b"HTTP/1.1 200 OK\r\n" if begins else b"") + data, step=step).status)
    except WireError as error:
        outcome = str(error)
    assert outcome.strip() == clean(outcome)


def test_a_request_says_what_is_needed_and_lets_given_fields_win() -> None:
    sent = request(
        method="POST",
        url=parse("http://example.org:81/a?b=ü c".replace(" ", "%20")),
        headers=[("host", "other"), ("X-One", "1")],
        body=b"{}",
        credentials="dTpw",
    ).decode()
    lines = sent.split("\r\n")
    assert lines[0] == "POST /a?b=%C3%BC%20c HTTP/1.1"
    assert "host: other" in lines
    assert not [line for line in lines if line.startswith("Host:")]
    assert {"X-One: 1", "Authorization: Basic dTpw", "Content-Length: 2", "Connection: close"} <= set(lines)
    assert sent.endswith("\r\n\r\n{}")
