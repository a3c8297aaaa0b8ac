# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.choosing import Wish, choose, sniff
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.expression import Wanted, build
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.formats import (
    NAMED,
    NGINX_VARIABLES,
    parse,
)

VARIABLES = sorted(set(NGINX_VARIABLES) - {"request", "status", "time_local", "upstream_response_time"})
LITERALS = st.sampled_from([" ", " | ", "\t", '" "', " rt=", ";", "] ["])
#: Values without what parts variables, as a server writes them where the format does not quote.
VALUES = st.text(st.sampled_from("abcXYZ019/.?&=%-_~"), min_size=1, max_size=12)


@st.composite
def formats(draw: st.DrawFn) -> tuple[str, str, dict[str, str]]:
    """A format of nginx, a line in it, and the values that stand in it."""
    names = draw(st.lists(st.sampled_from(VARIABLES), unique=True, max_size=5))
    names = [*names, "status"]
    head = draw(st.integers(0, len(names)))
    names.insert(head, "request")
    text, line, values = "", "", {}
    for name in names:
        literal = draw(LITERALS) if text else ""
        value = draw(VALUES)
        if name == "status":
            value = str(draw(st.integers(100, 599)))
        elif name == "request":
            value = f"GET /{value} HTTP/1.1"
        elif name in ("body_bytes_sent", "bytes_sent", "request_time"):
            value = str(draw(st.integers(0, 10**9)))
        quote = '"' if name == "request" else ""
        text += f"{literal}{quote}${name}{quote}"
        line += f"{literal}{quote}{value}{quote}"
        values[name] = value
    return text, line + "\n", values


@given(formats())
def test_a_line_gives_back_the_values_that_the_format_put_into_it(made: tuple[str, str, dict[str, str]]) -> None:
    text, line, values = made
    expression = build(parse(text), Wanted("address", "seconds"))

    fields = expression.parse_line(line.encode(), 0)
    columns = expression.columns(line.encode() * 3)

    assert fields is not None
    assert fields["status"].decode() == values["status"]
    assert fields["request"].decode() == values["request"]
    assert list(columns.heads) == [f'{values["request"]}" {values["status"]}'.encode()] * 3


@given(formats(), st.lists(st.sampled_from(["", "no request", '"', "a b c d e f g", "x" * 300]), max_size=5))
def test_other_lines_never_become_requests(made: tuple[str, str, dict[str, str]], others: list[str]) -> None:
    text, line, values = made
    expression = build(parse(text), Wanted("address", "seconds"))
    block = "".join(f"{other}\n{line}" for other in others) + line

    heads = list(expression.columns(block.encode()).heads)

    assert len(heads) <= len(others) + 1
    assert all(head.endswith(values["status"].encode()) for head in heads)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_named_format_can_be_parsed(name: str) -> None:
    assert {"status", "request"} <= parse(name).roles()


@pytest.mark.parametrize(
    "line",
    [
        '203.0.113.5 - - [02/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5',
        '203.0.113.5 - - [02/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "Mozilla/5.0 (X11)"',
        '203.0.113.5 - - [02/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl" 0.012',
        '203.0.113.5 - - [02/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl" rt=0.012 urt="0.011"',
        '203.0.113.5 - - [02/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl" "198.51.100.4" 0.012 0.011',
        'shop:443 203.0.113.5 - - [02/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"',
        '{"remote_addr":"203.0.113.5","request":"GET / HTTP/1.1","status":200,"body_bytes_sent":5}',
        '{"request":{"remote_ip":"203.0.113.5","method":"GET","uri":"/"},"status":200,"size":5,"duration":0.01}',
    ],
)
def test_usual_formats_are_found_from_their_lines(line: str) -> None:
    chosen = choose(Wish(), [line.encode()] * 5)

    assert chosen is not None
    columns = chosen.parser.columns(line.encode() + b"\n")
    assert len(columns.heads) == 1
    assert columns.heads[0].startswith(b"GET /")
    assert columns.heads[0].endswith(b'" 200')
    assert list(columns.addresses) == [b"203.0.113.5"]
    assert list(columns.sizes) == [b"5"]


def test_a_whole_number_behind_the_request_is_not_guessed_to_be_a_time() -> None:
    found = sniff([b'203.0.113.5 - - [02/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl" 1234'])

    assert found is not None
    assert "$request_time" not in found[1]
    assert "microseconds" in found[2]


def test_lines_of_no_known_format_are_not_taken_apart() -> None:
    assert choose(Wish(), [b"the quick brown fox"] * 5) is None


@pytest.mark.parametrize(
    ("text", "divisor"),
    [(r"%h %t \"%r\" %>s %b %D", 1e6), ('%h %t "%r" %>s %b %T', 1), ('%h %t "%r" %>s %b %{ms}T', 1e3)],
)
def test_times_of_apache_have_the_unit_of_their_directive(text: str, divisor: float) -> None:
    made = parse(text)
    line = b'203.0.113.5 [02/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 - 1500\n'

    columns = build(made, Wanted("address", "seconds")).columns(line)

    assert made.divisor("seconds") == divisor
    assert list(columns.times) == [b"1500"]


@pytest.mark.parametrize(
    "name", ["a b", "bob [x] smith", r"x [02/Mar/2026:10:00:00 +0000] \x22GET / HTTP/1.1\x22 200 7"]
)
@pytest.mark.parametrize("wish", [Wish(), Wish(format="combined")])
def test_a_name_with_spaces_hides_no_request(name: str, wish: Wish) -> None:
    line = f'203.0.113.5 - {name} [02/Mar/2026:10:00:00 +0000] "GET /x HTTP/1.1" 401 9 "-" "curl"'.encode()

    chosen = choose(wish, [line] * 5)

    assert chosen is not None
    columns = chosen.parser.columns(line + b"\n")
    assert list(columns.heads) == [b'GET /x HTTP/1.1" 401']
    assert list(columns.users) == [name.encode()]


def test_a_name_with_spaces_in_front_of_quotes_hides_no_request() -> None:
    line = b'203.0.113.9 - x y "GET /x HTTP/1.1" 401 9\n'

    columns = build(parse('$remote_addr - $remote_user "$request" $status $body_bytes_sent'), Wanted("address", ""))

    assert list(columns.columns(line).heads) == [b'GET /x HTTP/1.1" 401']


@pytest.mark.parametrize(
    ("value", "timed"), [("1234567", False), ('"150000"', False), ("0.25", True), ('"0.250"', True), ("0", True)]
)
def test_whole_numbers_of_no_unit_are_not_taken_for_seconds(value: str, timed: bool) -> None:
    line = f'{{"remote_ip":"203.0.113.5","method":"GET","uri":"/","status":200,"latency":{value}}}'.encode()

    chosen = choose(Wish(), [line] * 5)

    assert chosen is not None
    assert chosen.timed is timed
    assert list(chosen.parser.columns(line + b"\n").times) == ([value.strip('"').encode()] if timed else [])
    assert ("'latency' is a whole number" in chosen.note) is not timed


def test_behind_a_proxy_json_lines_tell_the_forwarded_address_or_none() -> None:
    line = b'{"remote_addr":"192.0.2.1","http_x_forwarded_for":"203.0.113.5","request_uri":"/","status":200}\n'
    wish = Wish(address="forwarded")

    chosen = choose(wish, [line])
    without = choose(wish, [line.replace(b"x_forwarded_for", b"other")])

    assert chosen is not None
    assert (chosen.parser.parse_line(line, 0) or {})["address"] == b"203.0.113.5"
    assert without is not None
    assert list(without.parser.columns(line).addresses) == []
    assert "no address of the kind that is wanted" in without.how


def test_the_unit_of_a_whole_number_can_be_said() -> None:
    line = b'{"remote_ip":"203.0.113.5","method":"GET","uri":"/","status":200,"latency":1234567}'

    chosen = choose(Wish(json_fields={"nanoseconds": "latency"}), [line] * 5)

    assert chosen is not None
    assert (chosen.timed, chosen.divisor, chosen.note) == (True, 1e9, "")
    assert list(chosen.parser.columns(line + b"\n").times) == [b"1234567"]


@pytest.mark.parametrize(
    "raw",
    [
        """'$remote_addr - $remote_user [$time_local] "$request" '
        '$status $body_bytes_sent'""",
        """log_format  main escape=default  '$remote_addr - $remote_user [$time_local] "$request" '
        '$status $body_bytes_sent';""",
        r"""LogFormat "%h %l %u %t \"%r\" %>s %b" common""",
        r'''"%h %l %u %t \"%r\" %>s %b"''',
        '%h %l %u [%{%d/%b/%Y:%H:%M:%S %z}t] "%r" %>s %b',
        '%h %l %u [%{%d/%b/%Y:%T}t %{%z}t] "%r" %>s %b',
    ],
)
def test_a_format_is_taken_as_it_stands_in_the_servers_configuration(raw: str) -> None:
    line = b'203.0.113.5 - - [02/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5\n'

    columns = build(parse(raw), Wanted("address", "")).columns(line)

    assert list(columns.heads) == [b'GET / HTTP/1.1" 200']


@pytest.mark.parametrize("raw", ['%h %{%F %T}t "%r" %>s', '%h %{%a %d %b %T}t "%r" %>s'])
def test_a_time_of_apache_may_hold_spaces(raw: str) -> None:
    time = b"2026-03-02 10:00:00" if "%F" in raw else b"Mon 02 Mar 10:00:00"

    columns = build(parse(raw), Wanted("address", "")).columns(b"203.0.113.5 " + time + b' "GET / HTTP/1.1" 200\n')

    assert list(columns.heads) == [b'GET / HTTP/1.1" 200']


def test_a_quote_in_what_a_client_sent_cannot_forge_a_status() -> None:
    line = rb'203.0.113.5 - - [02/Mar/2026:10:00:00 +0000] "GET /\" 200 7 \"-\" \"x HTTP/1.1" 404 9 "-" "curl"' + b"\n"

    heads = build(parse("combined"), Wanted("address", "seconds")).columns(line).heads

    assert [head[-3:] for head in heads] == [b"404"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("nothing in here", r"one of combined"),
        ("$remote_addr $request", "a format with the status"),
        ("$status $remote_addr", "a format with the request"),
        ("$request$status", "something between"),
    ],
)
def test_a_format_that_cannot_be_used_is_refused_in_a_sentence(raw: str, expected: str) -> None:
    with pytest.raises(OptionError, match=expected) as refused:
        parse(raw, option="logs[0].format")

    assert re.search(r"^Option 'logs\[0\]\.format' is ", str(refused.value))
