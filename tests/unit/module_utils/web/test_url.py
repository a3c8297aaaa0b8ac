# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.url import UrlError, join, parse, same_site


@pytest.mark.parametrize(
    ("text", "authority", "target", "port"),
    [
        ("http://example.org", "example.org", "/", 80),
        ("HTTPS://Example.ORG:443/a?b#c", "example.org", "/a?b", 443),
        ("https://example.org:8443/a b".replace(" ", "%20"), "example.org:8443", "/a%20b", 8443),
        ("http://[::1]:5000/", "[::1]:5000", "/", 5000),
        ("http://bücher.example/ü", "xn--bcher-kva.example", "/%C3%BC", 80),
        ("http://my_service:3000/", "my_service:3000", "/", 3000),
    ],
)
def test_urls_are_taken_apart(text: str, authority: str, target: str, port: int) -> None:
    url = parse(text)
    assert (url.authority, url.target, url.port) == (authority, target, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http:///path",
        "http://a b/",
        "http://example.org/\r\nX: y",
        "http://example.org/a b",
        "http://example.org:0/",
        "http://example.org:70000/",
        "http://example.org:port/",
        "http://-bad-/",
        "http://a..b/",
        "http://[::1/",
        "http://" + "a" * 64 + "/",
        "http://example.org/" + "a" * 3000,
    ],
)
def test_what_is_no_url_is_refused_in_words(text: str) -> None:
    with pytest.raises(UrlError, match="a"):
        parse(text)


@given(st.text(max_size=60))
def test_no_text_makes_it_fail_otherwise_and_nothing_unprintable_gets_onto_the_wire(text: str) -> None:
    for candidate in (text, f"http://{text}", f"http://example.org/{text}"):
        try:
            url = parse(candidate)
        except UrlError:
            continue
        assert f"{url.target}{url.authority}".isascii()
        assert not set(" \r\n\t") & set(url.target + url.authority)


def test_what_may_be_a_secret_is_not_shown() -> None:
    url = parse("https://user:pass%40word@example.org/hooks/T0ABCDEFGHIJ0123456789XYZ/x?token=abc&flag&a=b")
    assert (url.user, url.password) == ("user", "pass@word")
    assert url.shown == "https://example.org/hooks/***/x?token=***&***&a=***"


@pytest.mark.parametrize(
    ("location", "target"),
    [("/b", "http://example.org/b"), ("?x", "http://example.org/a?***"), ("//other.example/", "http://other.example/")],
)
def test_a_location_is_seen_from_where_it_came(location: str, target: str) -> None:
    assert join(parse("http://example.org/a"), location).shown == target


def test_www_is_the_same_site_and_a_look_alike_is_not() -> None:
    one = parse("http://example.org/")
    assert same_site(one, parse("https://www.example.org:8443/"))
    assert not same_site(one, parse("http://evil-example.org/"))
    assert not same_site(one, parse("http://example.org.evil.example/"))
