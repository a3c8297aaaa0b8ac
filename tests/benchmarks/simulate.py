# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals of fleets that do not exist: the form on disk is the real one, the hosts are dice with a seed.

A host has about 150 findings of nine subjects. Between one run and the next a few of them change, items come and go,
hosts die and return, and some texts are what an attacker would write into a log.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import tally, worst
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal import chain

START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
HOSTILE = (
    "</summary><script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "{{ lookup('pipe', 'id') }} {% for a in b %}",
    "\x1b[2J\x1b]0;owned\x07 green \u202ekcart",
    "]]></failure><x>\x00\x0b",
    "| a | b |\n|---|---|\n# heading [link](javascript:alert(3))",
)
MOUNTS = ("/", "/var", "/var/lib/docker", "/var/lib/postgresql", "/srv", "/home")
UNITS = tuple(
    f"{name}.service"
    for name in [
        "nginx",
        "postgresql",
        "docker",
        "ssh",
        "cron",
        "rsyslog",
        "chrony",
        "node-exporter",
        "campus-api",
        "campus-web",
        "campus-worker",
        "redis",
        "fail2ban",
        "unattended-upgrades",
        "systemd-resolved",
        "systemd-timesyncd",
        "containerd",
        "auditd",
        "postfix",
        "smartd",
        "apparmor",
        "dbus",
        "polkit",
        "udisks2",
        "qemu-guest-agent",
        "mariadb",
        "haproxy",
        "keepalived",
        "varnish",
        "memcached",
    ]
)
ENDPOINTS = tuple(f"https://campus.example/{path}" for path in ("health", "api/health", "login", "static/app.js"))
CONTAINERS = tuple(
    f"campus-{name}-1" for name in ["backend", "frontend", "db", "redis", "nginx", "grafana", "prometheus", "worker"]
)
TABLES = tuple(
    f"public.{name}" for name in ["students", "courses", "enrolments", "grades", "events", "sessions", "audit", "rooms"]
)
OWNERS = {"host": "operations", "postgresql": "databases", "web": "application", "backups": "operations"}

#: check, items, unit, levels, typical value, spread
MEASURED: tuple[tuple[str, Sequence[str], str, Levels, float, float], ...] = (
    ("host.disk_bytes", MOUNTS, "%", Levels(warning=85, critical=90), 62, 12),
    ("host.disk_inodes", MOUNTS, "%", Levels(warning=85, critical=90), 21, 8),
    ("host.cpu", ("all",), "%", Levels(info=60, warning=80, critical=95), 34, 18),
    ("host.load", ("per core",), "", Levels(warning=1.5, critical=3), 0.5, 0.3),
    ("host.memory", ("ram",), "%", Levels(warning=85, critical=95), 63, 11),
    ("host.pressure", ("cpu", "memory", "io"), "%", Levels(warning=20, critical=50), 3, 4),
    ("web.latency", ENDPOINTS, "s", Levels(info=1, warning=2, critical=5), 0.4, 0.35),
    ("web.errors", ENDPOINTS, "%", Levels(info=0.5, warning=1, critical=5), 0.05, 0.2),
    (
        "certificates.expiry",
        ("campus.example:443", "db.example:5432"),
        "d",
        Levels(warning=30, critical=7, direction="lower"),
        60,
        20,
    ),
    ("postgresql.connections", ("127.0.0.1:5432",), "%", Levels(warning=80, critical=90), 48, 14),
    ("postgresql.dead_rows", TABLES, "%", Levels(warning=20, critical=40), 6, 6),
    ("postgresql.cache_hits", ("campus", "postgres"), "%", Levels(warning=95, direction="lower"), 99, 1.4),
    ("docker.disk", ("images", "containers", "volumes", "build cache"), "B", Levels(warning=40 << 30), 9e9, 9e9),
    ("docker.memory", CONTAINERS, "%", Levels(warning=85, critical=95), 48, 17),
    ("backups.age", ("campus.dump", "files.tar"), "s", Levels(warning=93600, critical=180000), 40000, 14000),
    ("logs.errors", ("app.log", "nginx/error.log", "postgresql.log"), "", Levels(warning=20, critical=200), 4, 7),
    ("packages.pending", ("security", "all"), "", Levels(warning=10, critical=50), 3, 3),
)
STATED: tuple[tuple[str, Sequence[str], str], ...] = (
    ("services.unit", UNITS, "active and enabled"),
    ("docker.container", CONTAINERS, "running and healthy"),
    ("docker.restarts", CONTAINERS, "no restart since the last run"),
    ("postgresql.sequences", TABLES, "far from its end"),
    ("web.size", ENDPOINTS, "as large as it should be"),
    ("web.status", ENDPOINTS, "answers 200"),
    ("web.assertions", ENDPOINTS, "all assertions hold"),
    ("postgresql.bloat", TABLES, "no bloat worth a rebuild"),
    ("postgresql.index_use", TABLES, "every index is used"),
    ("host.units_failed", ("systemd",), "no unit has failed"),
    ("host.time", ("clock",), "synchronised"),
    ("host.reboot", ("kernel",), "the running kernel is the newest installed"),
    ("backups.integrity", ("campus.dump", "files.tar"), "checksum verified"),
)
SKIPPED = (
    (
        "postgresql.statements",
        "campus",
        "pg_stat_statements is not readable by this role",
        "GRANT pg_read_all_stats TO maintenance",
    ),
    (
        "hardware.disks",
        "/dev/sda",
        "smartctl is not installed",
        "Install smartmontools or run fleetcare.maintenance.bootstrap",
    ),
    (
        "host.libraries",
        "processes",
        "deleted libraries in use are visible to root alone",
        "Run the check with become: true",
    ),
)


def journal_run(
    journal: Path, *, number: int, hosts: int, seed: int = 7, cadence: str = "daily", expected: int | None = None
) -> str:
    """Write run ``number`` (from 0, a day apart) of a fleet; ``expected`` hosts are in the inventory. Returns its id."""
    started = START + timedelta(days=number)
    run = f"{started:%Y%m%dT%H%M%SZ}-{number:08x}"
    folder = journal / run
    folder.mkdir(parents=True, mode=0o700)
    names = [f"node-{index:05d}.campus.example" for index in range(expected or hosts)]
    header = chain.sealed(
        {
            "schema": chain.SCHEMA,
            "run": run,
            "started": iso(started),
            "cadence": cadence,
            "controller": "controller.campus.example",
            "hosts": names,
            "check_mode": False,
            "ansible": "2.19.0",
        }
    )
    (folder / chain.RUN_FILE).write_bytes(chain.canonical(header) + b"\n")
    for index, host in enumerate(names[:hosts]):
        previous, lines = header["hash"], []
        for sequence, record in enumerate(_records(host, index=index, number=number, seed=seed, started=started)):
            whole = chain.sealed({**record, "run": run, "sequence": sequence, "previous": previous})
            previous = whole["hash"]
            lines.append(chain.canonical(whole) + b"\n")
        (folder / chain.host_file(host)).write_bytes(b"".join(lines))
    return run


def _records(host: str, *, index: int, number: int, seed: int, started: datetime) -> Iterator[dict[str, Any]]:
    dice = random.Random(f"{seed}/{host}/{number}")
    at = started + timedelta(seconds=index % 300)
    if random.Random(f"{seed}/{host}/down/{number}").random() < 0.01:
        finding = _finding("maintenance.reachable", host, "critical", "the host did not answer: connection timed out")
        yield {**_record(host, "host", at, [finding], []), "unreachable": True}
        return
    findings = list(_findings(host, index=index, number=number, seed=seed))
    for subject in dict.fromkeys(finding["check"].partition(".")[0] for finding in findings):
        own = [finding for finding in findings if finding["check"].startswith(f"{subject}.")]
        metrics = [
            {"name": finding["check"], "item": finding["item"], "value": finding["value"], "unit": finding["unit"]}
            for finding in own
            if "value" in finding
        ]
        at += timedelta(seconds=dice.random() * 3)
        yield _record(host, subject, at, own, metrics)
    if dice.random() < 0.1:
        yield _repair(host, at, dice)
    if dice.random() < 0.004:
        yield {**_record(host, "node", at, [], []), "fault": "The Python library 'semver' is not there."}


def _findings(host: str, *, index: int, number: int, seed: int) -> Iterator[dict[str, Any]]:
    for check, items, unit, levels, typical, spread in MEASURED:
        for item in items:
            steady = random.Random(f"{seed}/{host}/{check}/{item}")
            base = steady.gauss(typical, spread * 0.7)
            wave = random.Random(f"{seed}/{host}/{check}/{item}/{number}").gauss(0, spread * 0.12)
            value = round(max(0.0, base + wave + number * spread * 0.004), 2)
            if unit == "%":
                value = min(value, 100.0)
            elif unit in ("", "B") and typical != 0.5:
                value = round(value)
            status = levels.judge(value)
            worded = levels.worded(unit)
            yield {
                **_finding(check, item, status, f"{check} of {item}: {quantity(value, unit)} ({worded})"),
                "value": value,
                "unit": unit,
                "levels": levels.as_dict(),
            }
    for check, items, phrase in STATED:
        for item in items:
            sick = random.Random(f"{seed}/{host}/{check}/{item}/{number // 4}").random()
            status = "critical" if sick < 0.0007 else "warning" if sick < 0.003 else "ok"
            yield _finding(check, item, status, phrase if status == "ok" else f"not {phrase}")
    for check, item, reason, remedy in SKIPPED:
        yield {**_finding(check, item, "skipped", reason), "remedy": remedy}
    if index % 50 == 3:
        line = HOSTILE[(index // 50) % len(HOSTILE)]
        yield {**_finding("logs.patterns", line[:60], "warning", f"new pattern: {line}"), "evidence": [line] * 3}
    if index % 20 == 5:
        known = {"owner": "operations", "reason": "disk is being replaced", "until": "2026-12-31T00:00:00.000Z"}
        yield {**_finding("hardware.array", "md0", "critical", "array is degraded"), "suppressed": known}


def _finding(check: str, item: str, status: str, summary: str) -> dict[str, Any]:
    plain: dict[str, Any] = {"check": check, "item": item, "status": status, "summary": summary}
    owner = OWNERS.get(check.partition(".")[0])
    plain["owners"] = [owner] if owner else []
    if status in ("warning", "critical"):
        plain["evidence"] = [f"seen on {item}", "first line of evidence: 2026-03-02 02:00:01 something happened"]
        plain["remedy"] = f"Look at {item} and run fleetcare.maintenance.{check.partition('.')[0]}_check again."
    return plain


def _record(
    host: str, subject: str, at: datetime, findings: list[dict[str, Any]], metrics: list[dict[str, Any]]
) -> dict[str, Any]:
    statuses = [finding["status"] for finding in findings if "suppressed" not in finding]
    return {
        "schema": chain.SCHEMA,
        "time": iso(at),
        "host": host,
        "module": f"{subject}_check",
        "subject": subject,
        "task": f"Look at {subject}",
        "kind": "check",
        "check_mode": False,
        "seconds": 1.25,
        "status": worst(statuses),
        "summary": tally(statuses),
        "changed": False,
        "findings": findings,
        "metrics": metrics,
    }


def _repair(host: str, at: datetime, dice: random.Random) -> dict[str, Any]:
    table = dice.choice(TABLES)
    step: Mapping[str, Any] = {"action": "vacuum", "target": table}
    done = dice.random() < 0.9
    return {
        **_record(host, "postgresql", at, [], []),
        "module": "postgresql_vacuum",
        "task": "Vacuum by need",
        "kind": "repair",
        "changed": done,
        "window": {"name": "night", "ends": iso(at + timedelta(hours=2))},
        "plan": [{**step, "reason": "31.4 % dead rows", "reversible": True, "estimate": {"seconds": 12}}],
        "applied": [{**step, "before": {"dead_rows": 81230}, "after": {"dead_rows": 0}, "seconds": 9.4}]
        if done
        else [],
        "failures": [] if done else [{**step, "error": "canceling statement due to lock timeout"}],
        "kept": [{"target": "public.audit", "reason": "2.1 % dead rows are below 20 %"}],
    }
