# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``http_check`` and the role against a real nginx on a real host."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet, Host
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.web.servers import Authority

pytestmark = pytest.mark.integration

SITE = """\
server {
    listen 80;
    listen [::]:80;
    server_name campus.example.org;
    return 301 https://campus.example.org$request_uri;
}
server {
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name campus.example.org;
    ssl_certificate /etc/nginx/site.pem;
    ssl_certificate_key /etc/nginx/site.pem;
    default_type application/json;
    location = /health/detailed {
        return 200 '{"status": "degraded", "checks": {"database": {"status": "up"}, "cache": {"status": "down"}}}';
    }
    location = /private {
        auth_basic "inside";
        auth_basic_user_file /etc/nginx/users;
        try_files /nothing =404;
    }
    location = /broken { return 502; }
    location / { gzip on; gzip_types text/plain; return 200 'Welcome'; }
}
server {
    listen 127.0.0.1:9090;
    location / { return 200 'metrics'; }
}
server {
    listen 3001;
    location / { return 200 'dashboard'; }
}
"""
#: "me" with the password "opensesame-4711", as crypt(5) writes it.
USERS = "me:{PLAIN}opensesame-4711\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def fleet(start_hosts: Callable[..., Fleet], authority: Authority) -> Fleet:
    started = start_hosts({"campus": "debian13"}, options=["--sysctl", "net.ipv6.conf.all.disable_ipv6=0"])
    host = started["campus"]
    host.execute(["apt-get", "update", "-q"])
    host.execute(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qy", "nginx-light"])
    host.write("/etc/nginx/site.pem", authority.issue("campus.example.org").read_text(), mode="0600")
    host.write("/etc/nginx/users", USERS)
    host.write("/etc/nginx/sites-enabled/default", SITE)
    host.write("/etc/ssl/test-ca.pem", authority.file.read_text())
    host.execute(["sh", "-c", "echo '127.0.0.1 campus.example.org' >> /etc/hosts"])
    host.execute(["nginx", "-t"])
    host.execute(["systemctl", "restart", "nginx"])
    return started


@pytest.fixture
def host(fleet: Fleet) -> Host:
    return fleet["campus"]


@pytest.fixture(scope="module")
def controller(fleet: Fleet, make_controller: Callable[..., Controller]) -> Controller:
    return make_controller(fleet)


def ask(controller: Controller, *endpoints: Any, **options: Any) -> dict[str, Any]:
    arguments = {"endpoints": list(endpoints), "ca_cert": "/etc/ssl/test-ca.pem", "samples": 3, **options}
    return controller.module("http_check", arguments)["campus"]


def found(result: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["item"], one["check"].partition(".")[2]): one for one in result["findings"]}


def test_a_site_is_asked_in_one_go(controller: Controller) -> None:
    base = "https://campus.example.org"
    result = ask(
        controller,
        {"url": f"{base}/", "name": "home", "body_matches": ["^Welcome"]},
        {"url": "http://campus.example.org/", "name": "moved", "redirects": "expect", "redirect_to": f"^{base}/$"},
        {"url": "http://campus.example.org/", "name": "followed"},
        {
            "url": f"{base}/health/detailed",
            "name": "health",
            "json": [{"path": "checks.*.status", "equals": "up"}],
        },
        {"url": f"{base}/broken", "name": "broken"},
        {"url": "https://127.0.0.1/", "name": "other name"},
        {"url": "https://campus.example.org:3001/", "name": "no tls"},
        {"url": "http://campus.example.org:8/", "name": "dead"},
        {"url": "https://[::1]/", "name": "ipv6", "sni": "campus.example.org"},
    )
    findings = found(result)
    assert {item for item, _check in findings if findings[item, "reachable"]["status"] != "ok"} == {
        "other name", "no tls", "dead",
    }  # fmt: skip
    assert "(tls): the certificate is for other" in findings["other name", "reachable"]["summary"]
    assert "(tls): what listens there does not speak TLS" in findings["no tls", "reachable"]["summary"]
    assert "(refused)" in findings["dead", "reachable"]["summary"]
    assert findings["health", "assertions"]["evidence"] == ['checks.cache.status is "down", not "up" (3 of 3 samples)']
    assert findings["broken", "status"]["status"] == "critical"
    assert findings["moved", "redirect"]["summary"] == f"leads to {base}/"
    assert findings["followed", "redirect"]["evidence"] == [f"then {base}/"]
    for item in ("home", "moved", "followed", "ipv6"):
        assert {one["status"] for (name, _check), one in findings.items() if name == item} == {"ok"}
    phases = next(row["phases"] for row in result["endpoints"] if row["name"] == "home")
    assert set(phases) == {"dns", "connect", "tls", "first_byte", "transfer"}


def test_a_login_works_and_is_found_neither_in_the_result_nor_in_the_hosts_log(
    controller: Controller, host: Host
) -> None:
    private = {"url": "https://campus.example.org/private?key=querysecret-4711", "expected_status": [404]}
    result = ask(
        controller,
        {**private, "name": "open", "login_user": "me", "login_password": "opensesame-4711"},
        {**private, "name": "shut", "headers": {"X-Token": "headersecret-4711"}},
    )
    findings = found(result)
    assert findings["open", "status"]["status"] == "ok"
    assert (findings["shut", "status"]["status"], findings["shut", "status"]["summary"][:10]) == (
        "critical",
        "status 401",
    )
    log = host.execute(["journalctl", "--no-pager", "--output=cat"]).stdout
    assert "endpoints=NOT_LOGGING_PARAMETER" in log
    for text in (json.dumps(result), log):
        assert "4711" not in text


def test_a_wrong_option_is_one_sentence_and_gives_nothing_away(controller: Controller) -> None:
    result = ask(controller, {"url": "http://me:opensesame-4711@campus.example.org/", "samples": "many"})
    assert result["msg"] == "Option 'endpoints[0].samples' is 'many', but must be a whole number from 1 to 1000."
    assert "4711" not in json.dumps(result)


def test_the_role_asks_from_the_host_or_from_outside(controller: Controller, fleet: Fleet) -> None:
    address = fleet["campus"].address
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "/usr/bin/python3"},
        "tasks": [
            {
                "ansible.builtin.import_role": {"name": "fleetcare.maintenance.web", "tasks_from": "daily"},
                "vars": {"maintenance_discovered": {"web": [{"url": "http://127.0.0.1:9090/", "server": "nginx"}]}},
            },
            {
                "ansible.builtin.import_role": {"name": "fleetcare.maintenance.web", "tasks_from": "weekly"},
                "vars": {
                    "web_from": "controller",
                    "web_endpoints": [{"url": f"http://{address}:3001/", "name": "dashboard"}],
                    "web_refused": [f"http://{address}:9090/", f"http://{address}:3001/"],
                    "web_samples_weekly": 3,
                },
            },
        ],
    }
    run = controller.playbook([play], "-v")
    assert run.returncode == 0, run.stdout + run.stderr
    said = run.stdout
    assert "served by nginx" in said
    assert "not reachable from here: the connection is refused" in said
    assert "reachable from here, though it must not be: answers with status 200" in said
    assert said.count("campus -> localhost") == 2
