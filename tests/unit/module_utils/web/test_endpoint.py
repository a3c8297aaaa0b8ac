# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options: what is right is read, what is wrong is one sentence that names it and gives no secret away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.endpoint import (
    ARGUMENTS,
    SHARED,
    Endpoint,
    read_all,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.web.servers import Authority

URL = "http://example.org/"


def read(*endpoints: Any, **options: Any) -> list[Endpoint]:
    params: dict[str, Any] = {name: argument.get("default") for name, argument in ARGUMENTS.items()}
    return read_all({**params, **options, "endpoints": list(endpoints)})


def test_an_endpoint_takes_the_options_of_the_module_and_its_own_win() -> None:
    one, other = read(
        "http://one.example/a?key=s3cret",
        {"url": URL, "name": "other", "samples": "9", "tls_verify": "no", "expected_status": 404, "timeout_seconds": 1},
        samples=7,
        method="HEAD",
    )
    assert (one.name, one.samples, one.method, one.tls_verify) == ("http://one.example/a?key=***", 7, "HEAD", True)
    assert (other.samples, other.method, other.tls_verify, other.timeout_seconds) == (9, "HEAD", False, 1.0)
    assert 404 in other.expected_status
    assert 200 not in other.expected_status
    assert 204 in one.expected_status


def test_redirects_that_are_expected_expect_redirecting_codes() -> None:
    (endpoint,) = read(URL, redirects="expect")
    assert {code for code in range(100, 600) if code in endpoint.expected_status} == {301, 302, 303, 307, 308}


def test_both_versions_of_ip_are_two_items_and_equal_names_are_told_apart() -> None:
    names = [
        endpoint.name
        for endpoint in read({"url": URL, "name": "a", "ip_version": "both"}, {"url": URL, "name": "a (IPv4)"})
    ]
    assert names == ["a (IPv4)", "a (IPv6)", "a (IPv4) (2)"]


@pytest.mark.parametrize(
    ("endpoint", "option", "words"),
    [
        (7, "endpoints[0]", "a URL or a mapping"),
        ({}, "endpoints[0].url", "an http:// or https:// URL"),
        ("example.org", "endpoints[0].url", "'example.org'"),
        ("ftp://example.org", "endpoints[0].url", "an http:// or https:// URL"),
        ({"url": URL, "urls": "x"}, "endpoints[0].urls", "did you mean 'url'?"),
        ({"url": URL, "name": "a\nb"}, "endpoints[0].name", "one line"),
        ({"url": URL, "method": "DELETE"}, "endpoints[0].method", "GET, HEAD, POST"),
        ({"url": URL, "headers": ["a"]}, "endpoints[0].headers", "a mapping"),
        ({"url": URL, "headers": {"a b": "c"}}, "endpoints[0].headers", "the name of a header"),
        ({"url": URL, "headers": {"A": "x\r\nEvil: y"}}, "endpoints[0].headers.A", "one line"),
        ({"url": URL, "headers": {"A": "\u20ac"}}, "endpoints[0].headers.A", "ISO 8859-1"),
        ({"url": URL, "headers": {"Content-Length": "9"}}, "endpoints[0].headers.Content-Length", "sets this field"),
        ({"url": URL, "body": "x"}, "endpoints[0].method", "POST"),
        ({"url": URL, "body": {1, 2}, "method": "POST"}, "endpoints[0].body", "JSON"),
        ({"url": URL, "expected_status": ["2yy"]}, "endpoints[0].expected_status", "status codes such as"),
        ({"url": URL, "json": "status"}, "endpoints[0].json[0]", "a mapping with a path"),
        ({"url": URL, "json": [{"path": "a"}], "method": "HEAD"}, "endpoints[0].method", "GET or POST"),
        ({"url": URL, "body_matches": ["("]}, "endpoints[0].body_matches", "a regular expression"),
        ({"url": URL, "body_lacks": {}}, "endpoints[0].body_lacks", "a list"),
        ({"url": URL, "header_matches": "a"}, "endpoints[0].header_matches", "a mapping"),
        ({"url": URL, "redirects": "maybe"}, "endpoints[0].redirects", "follow, refuse, expect"),
        ({"url": URL, "redirects": "refuse", "redirect_to": "a"}, "endpoints[0].redirect_to", "absent"),
        ({"url": URL, "max_redirects": 21}, "endpoints[0].max_redirects", "1 to 20"),
        ({"url": URL, "redirect_other_host": 3}, "endpoints[0].redirect_other_host", "true or false"),
        ({"url": URL, "ip_version": "5"}, "endpoints[0].ip_version", "any, 4, 6, both"),
        ({"url": "http://[::1]/", "ip_version": "4"}, "endpoints[0].ip_version", "an IPv6 address"),
        ({"url": "http://127.0.0.1/", "ip_version": "both"}, "endpoints[0].ip_version", "any or 4"),
        ({"url": URL, "timeout_seconds": "nan"}, "endpoints[0].timeout_seconds", "0.05 to 600"),
        ({"url": URL, "timeout_seconds": True}, "endpoints[0].timeout_seconds", "0.05 to 600"),
        ({"url": URL, "samples": 0}, "endpoints[0].samples", "1 to 1000"),
        ({"url": URL, "samples": 2.5}, "endpoints[0].samples", "1 to 1000"),
        ({"url": URL, "warmup": -1}, "endpoints[0].warmup", "0 to 10"),
        ({"url": URL, "max_bytes": 0}, "endpoints[0].max_bytes", "whole number"),
        ({"url": URL, "min_bytes": 9, "max_bytes": 8}, "endpoints[0].min_bytes", "at most max_bytes"),
        ({"url": URL, "ca_cert": "/nowhere"}, "endpoints[0].ca_cert", "that can be read"),
        ({"url": URL, "client_key": __file__}, "endpoints[0].client_key", "client_cert"),
        ({"url": URL, "sni": "a b"}, "endpoints[0].sni", "a host name"),
        ({"url": URL, "connect_to": "a:0"}, "endpoints[0].connect_to", "1 to 65535"),
        ({"url": URL, "connect_to": "[::1"}, "endpoints[0].connect_to", "address"),
        ({"url": URL, "refused": "x"}, "endpoints[0].refused", "true or false"),
        ({"url": URL, "login_user": "a\nb"}, "endpoints[0].login_user", "one line"),
        ({"url": URL, "login_password": "a\nb"}, "endpoints[0].login_password", "one line"),
    ],
)
def test_what_is_wrong_is_named(endpoint: Any, option: str, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        read(endpoint)
    assert caught.value.option == option
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"budget_seconds": 0.5}, "budget_seconds"),
        ({"samples": 0}, "samples"),
        ({"expected_status": ["x"]}, "expected_status"),
        ({"json": [{}]}, "json[0]"),
    ],
)
def test_what_is_wrong_for_all_is_named_without_an_endpoint(options: dict[str, Any], option: str) -> None:
    with pytest.raises(OptionError) as caught:
        read(URL, **options)
    assert caught.value.option == option


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://user:s3cretword@/",
        {"url": "http://example.org/?token=s3cretword\x00"},
        {"url": URL, "headers": {"Authorization": "s3cretword\n"}},
        {"url": URL, "headers": "s3cretword"},
        {"url": URL, "login_password": ["s3cretword"]},
        {"url": URL, "login_pasword": "s3cretword"},
        {"url": URL, "body": {"s3cretword", 1}, "method": "POST"},
    ],
)
def test_no_complaint_gives_a_secret_away(endpoint: Any) -> None:
    with pytest.raises(OptionError) as caught:
        read(endpoint)
    assert "s3cretword" not in str(caught.value)


def test_secrets_are_known_in_every_form_in_which_a_server_could_send_them_back() -> None:
    (endpoint,) = read(
        {
            "url": "http://example.org/?key=queryvalue",
            "headers": {"Authorization": "Bearer bearervalue", "Accept": "text/html", "X-One": "1"},
            "login_user": "me",
            "login_password": "passvalue",
        }
    )
    text = "Bearer bearervalue, bearervalue, passvalue, bWU6cGFzc3ZhbHVl, queryvalue, text/html 1"
    assert endpoint.conceal(text) == "***, ***, ***, ***, ***, text/html 1"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(SHARED)), anything)
def test_any_value_of_any_option_is_read_or_named(name: str, value: Any) -> None:
    try:
        found = read({"url": URL, name: value})
    except OptionError as error:
        complaint = str(error)
        found = []
    else:
        complaint = ""
    assert found or complaint.startswith("Option 'endpoints[0]")


def test_files_that_hold_no_certificates_are_named(authority: Authority, tmp_path: Path, ask: Any) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    with pytest.raises(OptionError, match=r"'ca_cert'.*PEM"):
        ask(URL, ca_cert=str(wrong))
    with pytest.raises(OptionError, match=r"'client_cert'.*PEM"):
        ask(URL, client_cert=str(wrong))
    with pytest.raises(OptionError, match=r"'client_cert'.*fits"):
        ask(URL, client_cert=str(authority.issue("me")), client_key=str(authority.issue("you")))
