# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a host, found in one look and without a single password: the cadences run the subjects that exist."""

from __future__ import annotations

import glob
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import Listener, collect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean

#: Process names (at most 15 characters, proc(5)) of servers that speak HTTP for a living.
WEB_SERVERS = frozenset({"nginx", "apache2", "httpd", "caddy", "haproxy", "traefik", "lighttpd", "node", "PM2"})
#: Without the right to see whose a socket is, only the ports that are HTTP by registration count (IANA).
WEB_PORTS = {80: "http", 443: "https", 8080: "http", 8443: "https"}
POSTGRESQL_SOCKETS = ("/run/postgresql/.s.PGSQL.*", "/tmp/.s.PGSQL.*")  # noqa: S108 - where servers put them
MYSQL_SOCKETS = ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")  # noqa: S108 - likewise
DOCKER_SOCKETS = ("/run/docker.sock", "/run/podman/podman.sock")
CERTIFICATE_DIRECTIVES = re.compile(r"^\s*(?:ssl_certificate|SSLCertificateFile)\s+[\"']?(/[^\s;\"']+)", re.MULTILINE)
SERVER_CONFIGURATIONS = (
    "/etc/nginx/nginx.conf",
    "/etc/nginx/conf.d/*.conf",
    "/etc/nginx/sites-enabled/*",
    "/etc/apache2/sites-enabled/*",
    "/etc/httpd/conf.d/*.conf",
)
CERTIFICATES = ("/etc/letsencrypt/live/*/fullchain.pem",)
#: Where the services that the guides read keep their logs: whose they are, and what is in them.
LOGS = (
    ("/var/log/syslog", "syslog", "system"),
    ("/var/log/messages", "syslog", "system"),
    ("/var/log/auth.log", "syslog", "logins"),
    ("/var/log/secure", "syslog", "logins"),
    ("/var/log/kern.log", "syslog", "kernel"),
    ("/var/log/nginx/*access*.log", "nginx", "access"),
    ("/var/log/nginx/*error*.log", "nginx", "error"),
    ("/var/log/apache2/*access*.log", "apache", "access"),
    ("/var/log/apache2/*error*.log", "apache", "error"),
    ("/var/log/httpd/*access_log", "apache", "access"),
    ("/var/log/httpd/*error_log", "apache", "error"),
    ("/var/log/postgresql/*.log", "postgresql", "database"),
    ("/var/lib/pgsql/data/log/*.log", "postgresql", "database"),
    ("/var/log/mysql/*.log", "mysql", "database"),
    ("/var/log/mariadb/*.log", "mysql", "database"),
)
_OCTAL = re.compile(r"\\([0-3][0-7]{2})")
MAX_CONFIGURATION = 512 * 1024
MAX_NAMES = 500


def discover() -> dict[str, Any]:
    """Everything that was found, as plain data; ``subjects`` are those that have something to look after."""
    listeners = collect(owners=True)
    found: dict[str, Any] = {
        "os": operating_system(),
        "python": platform.python_version(),
        "python_path": sys.executable,
        "root": os.geteuid() == 0,
        "systemd": os.path.isdir("/run/systemd/system"),
        "mounts": mounts(),
        "units": running_units(),
        "listeners": [_listener(entry) for entry in listeners],
        "postgresql": clusters(databases(listeners, POSTGRESQL_SOCKETS, process="postgres", port=5432)),
        "mysql": databases(listeners, MYSQL_SOCKETS, process=("mysqld", "mariadbd"), port=3306),
        "docker": docker(),
        "web": web_endpoints(listeners),
        "certificates": certificates(),
        "logs": logs(),
    }
    found["subjects"] = subjects(found)
    return found


def operating_system() -> dict[str, str]:
    """os-release(5): ``id``, ``version`` and the name for people; empty strings where the file lacks them."""
    values: dict[str, str] = {}
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                key, equals, value = line.strip().partition("=")
                if equals:
                    values[key] = clean(value.strip("\"'"))
    except OSError:
        pass
    return {
        "id": values.get("ID", ""),
        "version": values.get("VERSION_ID", ""),
        "name": values.get("PRETTY_NAME", ""),
        "kernel": platform.release(),
    }


def mounts() -> list[str]:
    """Mount points of file systems that are backed by a device or a server, from /proc/self/mounts."""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as stream:
            return mount_points(stream)
    except OSError:
        return []


def mount_points(lines: Iterable[str]) -> list[str]:
    """The mount points of fstab(5) lines whose source is a device or a server; ``\\040`` and the like are read."""
    points = set()
    for line in lines:
        source, _space, rest = line.partition(" ")
        point = rest.partition(" ")[0]
        if point and (source.startswith("/") or ":" in source):
            points.add(clean(_OCTAL.sub(lambda match: chr(int(match[1], 8)), point)))
    return sorted(points)[:MAX_NAMES]


def running_units() -> list[str]:
    """Names of running services; empty without systemd."""
    try:
        done = command.run(
            ["systemctl", "list-units", "--type=service", "--state=running", "--plain", "--no-legend", "--no-pager"],
            timeout=15,
        )
    except (command.CommandMissing, command.CommandUnfinished):
        return []
    return [clean(line.split()[0]) for line in done.lines() if line.split()][:MAX_NAMES] if done.rc == 0 else []


def _listener(entry: Listener) -> dict[str, Any]:
    return {
        "protocol": entry.protocol,
        "address": entry.address,
        "port": entry.port,
        "process": clean(entry.process),
    }


def databases(
    listeners: Iterable[Listener], sockets: Iterable[str], *, process: str | tuple[str, ...], port: int
) -> list[dict[str, Any]]:
    """Servers by their socket file and by their TCP port."""
    names = (process,) if isinstance(process, str) else process
    paths = sorted(path for path in _existing(sockets) if not path.endswith(".lock"))
    found: list[dict[str, Any]] = [{"socket": path} for path in paths]
    tcp = (entry for entry in listeners if entry.protocol == "tcp")
    ports = sorted(
        {entry.port for entry in tcp if entry.process in names or (not entry.process and entry.port == port)}
    )
    # A server answers on both: by its number where the socket's name tells it, else where there is one of each.
    known = {int(path.rpartition(".")[2]) for path in paths if path.rpartition(".")[2].isdigit()}
    if paths and not known and len(ports) == 1:
        known = set(ports)
    return [*found, *({"port": number} for number in ports if number not in known)]


def clusters(servers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """PostgreSQL servers with the options by which ``postgresql_check`` reaches them; one with two sockets once."""
    found: dict[int, dict[str, Any]] = {}
    for server in servers:
        folder, _slash, name = server.get("socket", "").rpartition("/")
        number = name.rpartition(".")[2]
        port = int(number) if number.isdecimal() else server.get("port")
        if port is None:
            continue
        way = {"login_unix_socket": folder} if folder else {"login_host": "127.0.0.1"}
        found.setdefault(port, {**server, **way, "login_port": port})
    return list(found.values())


def docker() -> dict[str, Any]:
    """The engine's socket and whether this user may talk to it; empty without one."""
    for path in DOCKER_SOCKETS:
        if os.path.exists(path):
            return {"socket": path, "accessible": os.access(path, os.R_OK | os.W_OK)}
    return {}


def web_endpoints(listeners: Iterable[Listener]) -> list[dict[str, Any]]:
    """What answers HTTP, as endpoints that ``http_check`` takes.

    Nobody said what the start page should answer, so anything but a server error counts as an answer, and the name
    in the certificate is not asked for.
    """
    endpoints: dict[int, dict[str, Any]] = {}
    for entry in sorted(listeners, key=lambda one: (one.port, one.address)):
        scheme = WEB_PORTS.get(entry.port, "http")
        known = entry.process in WEB_SERVERS or (not entry.process and entry.port in WEB_PORTS)
        if entry.protocol != "tcp" or not known or entry.port in endpoints:
            continue
        address = "127.0.0.1" if entry.wildcard or entry.address.startswith("127.") else entry.address
        host = f"[{address}]" if ":" in address else address
        endpoint: dict[str, Any] = {"url": f"{scheme}://{host}:{entry.port}/", "expected_status": ["100-499"]}
        if scheme == "https":
            endpoint["tls_verify"] = False
        endpoints[entry.port] = endpoint
    return list(endpoints.values())


def certificates() -> list[str]:
    """Certificate files that web servers or certbot are configured with."""
    paths = set(_existing(CERTIFICATES))
    for configuration in _existing(SERVER_CONFIGURATIONS):
        paths.update(match for match in CERTIFICATE_DIRECTIVES.findall(_beginning(configuration)))
    return sorted(clean(path) for path in paths)[:MAX_NAMES]


def logs(places: Iterable[tuple[str, str, str]] = LOGS) -> list[dict[str, Any]]:
    """Log files with ``service``, ``kind`` and whether this user may read them; a folder stands for what it hides."""
    found: dict[str, dict[str, Any]] = {}
    for pattern, service, kind in places:
        folder = os.path.dirname(pattern)
        hidden = os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK)
        for path in [folder] if hidden else glob.iglob(pattern):
            entry = {"path": clean(path), "service": service, "kind": kind}
            found.setdefault(path, {**entry, "readable": not hidden and os.access(path, os.R_OK)})
    return [found[path] for path in sorted(found)][:MAX_NAMES]


def _beginning(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(MAX_CONFIGURATION)
    except OSError:
        return ""


def _existing(patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        yield from glob.iglob(pattern)


def subjects(found: dict[str, Any]) -> list[str]:
    """The subjects that have something on this host."""
    present = {
        "host": True,
        "services": found["systemd"] or bool(found["listeners"]),
        "web": bool(found["web"]),
        "certificates": bool(found["certificates"]),
        "logs": bool(found["logs"]) or found["systemd"],
        "postgresql": bool(found["postgresql"]),
        "mysql": bool(found["mysql"]),
        "docker": bool(found["docker"]),
    }
    return [subject for subject, there in present.items() if there]


def summary(found: dict[str, Any]) -> str:
    """One sentence for people."""
    count = len(found["listeners"])
    return f"{found['os']['name'] or 'unknown system'}; {count} listeners; subjects: {', '.join(found['subjects'])}"
