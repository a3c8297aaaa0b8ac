# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import Listener
from ansible_collections.fleetcare.maintenance.plugins.module_utils.discovery import collect


def tcp(port, process="", address="0.0.0.0"):
    return Listener(protocol="tcp", address=address, port=port, inode=1, uid=0, process=process)


def test_mounts_of_devices_and_servers_count_and_names_are_read_as_they_are():
    lines = [
        "/dev/sda1 / ext4 rw 0 0\n",
        "proc /proc proc rw 0 0\n",
        "nas:/export /srv/my\\040data nfs rw 0 0\n",
        "/dev/sdb1 /srv/tab\\011and\\134slash xfs rw 0 0\n",
        "/dev/sda1 / ext4 rw 0 0\n",
        "broken\n",
        "\n",
    ]
    assert collect.mount_points(lines) == ["/", "/srv/my data", "/srv/tab and\\slash"]


@pytest.mark.parametrize(
    ("sockets", "listeners", "found"),
    [
        ([".s.PGSQL.5432", ".s.PGSQL.5432.lock"], [tcp(5432, "postgres")], ["socket"]),
        ([".s.PGSQL.5432"], [tcp(5432, "postgres"), tcp(5433, "postgres")], ["socket", 5433]),
        ([], [tcp(5432)], [5432]),
        ([], [tcp(5433)], []),
        ([], [tcp(5432, "pgbouncer")], []),
        ([], [], []),
    ],
)
def test_a_postgresql_server_is_found_once(tmp_path, sockets, listeners, found):
    for name in sockets:
        (tmp_path / name).touch()
    servers = collect.databases(listeners, [f"{tmp_path}/.s.PGSQL.*"], process="postgres", port=5432)
    assert [server.get("port", "socket") for server in servers] == found


def test_a_postgresql_server_is_found_with_the_way_to_it():
    servers = [
        {"socket": "/run/postgresql/.s.PGSQL.5432"},
        {"socket": "/tmp/.s.PGSQL.5432"},
        {"socket": "/tmp/.s.PGSQL.5433"},
        {"socket": "/tmp/.s.PGSQL.nonsense"},
        {"port": 5434},
    ]
    assert collect.clusters(servers) == [
        {"socket": "/run/postgresql/.s.PGSQL.5432", "login_unix_socket": "/run/postgresql", "login_port": 5432},
        {"socket": "/tmp/.s.PGSQL.5433", "login_unix_socket": "/tmp", "login_port": 5433},
        {"port": 5434, "login_host": "127.0.0.1", "login_port": 5434},
    ]


def test_a_mysql_server_with_socket_and_port_is_one(tmp_path):
    (tmp_path / "mysqld.sock").touch()
    for listeners, count in (([tcp(3306, "mariadbd")], 1), ([tcp(3306, "mysqld"), tcp(3307, "mysqld")], 3)):
        names = ("mysqld", "mariadbd")
        servers = collect.databases(listeners, [f"{tmp_path}/mysqld.sock"], process=names, port=3306)
        assert len(servers) == count


def test_web_servers_become_endpoints_and_other_ports_do_not():
    found = collect.web_endpoints(
        [
            tcp(443, "nginx"),
            tcp(443, "nginx", "::"),
            tcp(3000, "node", "10.0.0.5"),
            tcp(8080, "java"),
            tcp(80, "", "::1"),
            tcp(22, ""),
            Listener(protocol="udp", address="0.0.0.0", port=443, inode=1, uid=0, process="nginx"),
        ]
    )
    assert [endpoint["url"] for endpoint in found] == [
        "http://[::1]:80/",
        "https://127.0.0.1:443/",
        "http://10.0.0.5:3000/",
    ]
    assert found[1]["tls_verify"] is False


def test_this_machine_is_described_in_plain_data_with_its_subjects():
    found = collect.discover()
    assert json.loads(json.dumps(found)) == found
    assert "host" in found["subjects"]
    assert collect.summary(found).endswith(f"subjects: {', '.join(found['subjects'])}")


def test_logs_are_told_with_what_is_in_them_and_whether_they_can_be_read(tmp_path, monkeypatch):
    for name in ("nginx/access.log", "nginx/shop-error.log", "nginx/access.log.1", "apache2/access.log", "auth.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    places = [
        (f"{tmp_path}/auth.log", "syslog", "logins"),
        (f"{tmp_path}/nginx/*access*.log", "nginx", "access"),
        (f"{tmp_path}/nginx/*error*.log", "nginx", "error"),
        (f"{tmp_path}/apache2/*access*.log", "apache", "access"),
        (f"{tmp_path}/mysql/*.log", "mysql", "database"),
    ]
    closed = {f"{tmp_path}/auth.log", f"{tmp_path}/apache2"}
    monkeypatch.setattr(collect.os, "access", lambda path, _mode: str(path) not in closed)
    found = [(entry["path"], entry["service"], entry["kind"], entry["readable"]) for entry in collect.logs(places)]
    assert found == [
        (f"{tmp_path}/apache2", "apache", "access", False),
        (f"{tmp_path}/auth.log", "syslog", "logins", False),
        (f"{tmp_path}/nginx/access.log", "nginx", "access", True),
        (f"{tmp_path}/nginx/shop-error.log", "nginx", "error", True),
    ]
