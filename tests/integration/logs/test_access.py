# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``access_log_review`` on what a real nginx and a real Apache wrote, through the rotation that Debian sets up for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet, Host
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller

pytestmark = pytest.mark.integration

FORMAT = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
    '"$http_user_agent" rt=$request_time'
)
SITE = f"""\
log_format timed '{FORMAT}';
server {{
    listen 80;
    access_log /var/log/nginx/access.log timed;
    location = /login {{ return 401; }}
    location = /broken {{ return 502; }}
    location = /nothing {{ return 404; }}
    location / {{ return 200 'Welcome'; }}
}}
"""
TIMED = {"path": "/var/log/nginx/access.log", "format": FORMAT}
#: Method, target, how often. What is tried is written as attackers write it; the last but one only looks like it.
REQUESTS = (
    ("GET", "/rooms/17", 20),
    ("GET", "/nothing", 3),
    ("GET", "/broken", 2),
    ("POST", "/login", 5),
    ("GET", "/search?q=1%27%20oR%201%3D1--%20", 1),
    ("GET", "/selected-plans?dropdown=1", 4),
    ("GET", "/caf%C3%A9?name=O%27Brien", 1),
)
STATUSES = {"200": 26, "401": 5, "404": 3, "502": 2}


@pytest.fixture(scope="module")
def fleet(start_hosts: Callable[..., Fleet]) -> Fleet:
    started = start_hosts({"site": "debian13"})
    host = started["site"]
    host.execute(["apt-get", "update", "-q"])
    # Debian starts what it installs, and both want port 80.
    host.write("/etc/apache2/ports.conf", "Listen 81\n")
    host.execute(
        ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qy", "--no-install-recommends",
         "-o", "Dpkg::Options::=--force-confold", "nginx-light", "apache2"]
    )  # fmt: skip
    host.write("/etc/nginx/sites-enabled/default", SITE)
    host.execute(["sed", "-i", "s/:80>/:81>/", "/etc/apache2/sites-available/000-default.conf"])
    host.execute(["systemctl", "restart", "nginx", "apache2"])
    return started


@pytest.fixture
def controller(fleet: Fleet, make_controller: Callable[..., Controller]) -> Controller:
    fleet["site"].execute(["rm", "-rf", "/var/lib/fleetcare-maintenance"])
    return make_controller(fleet)


def ask(host: Host, *requests: tuple[str, str, int], port: int = 80) -> None:
    for method, target, times in requests:
        url = f"http://127.0.0.1:{port}{target}"
        host.execute(["curl", "-s", "-o", "/dev/null", "-X", method, *[url] * times])


def review(controller: Controller, *logs: dict[str, str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The figures of the one log, and the findings by check."""
    result = controller.module("access_log_review", {"logs": list(logs), "min_requests": 1})["site"]
    (figures,) = result["logs"]
    return figures, {finding["check"]: finding for finding in result["findings"]}


def test_what_nginx_wrote_is_counted_by_its_fields_and_once_through_a_rotation(
    fleet: Fleet, controller: Controller
) -> None:
    host = fleet["site"]
    ask(host, *REQUESTS)
    figures, findings = review(controller, TIMED)
    assert (figures["requests"], figures["unparsed"], figures["statuses"]) == (36, 0, STATUSES)
    assert figures["seconds"]["p99"] < 60
    assert findings["logs.http_attacks"]["value"] == 1
    assert findings["logs.http_login_failures"]["status"] != "ok"
    shown = str(findings)
    assert "O%27Brien" not in shown
    assert "1%3D1" not in shown

    ask(host, ("GET", "/rooms/18", 3))
    host.execute(["logrotate", "--force", "/etc/logrotate.conf"])
    ask(host, ("GET", "/rooms/19", 4))
    figures, findings = review(controller, TIMED)
    assert (figures["requests"], figures["statuses"]) == (7, {"200": 7})
    assert findings["logs.lost"]["status"] == "ok"

    result = controller.module("access_log_review", {"logs": [TIMED]})["site"]
    assert sum(one["requests"] for one in result["logs"]) == 0


def test_what_apache_wrote_is_known_by_itself(fleet: Fleet, controller: Controller) -> None:
    ask(fleet["site"], ("GET", "/", 6), ("GET", "/no-such-page", 2), ("OPTIONS", "/", 1), port=81)
    figures, findings = review(controller, {"path": "/var/log/apache2/access.log"})
    assert (figures["requests"], figures["unparsed"], figures["statuses"]) == (9, 0, {"200": 7, "404": 2})
    assert "combined" in figures["format"]
    assert findings["logs.readable"]["status"] == "ok"
