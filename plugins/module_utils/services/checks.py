# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions of this subject, and the pure answers for units and processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue, Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook, Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.expect import (
    ProcessWanted,
    UnitWanted,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.processes import Processes
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import Unit, is_pattern

CATALOGUE = Catalogue(
    "services",
    [
        Check(
            id="services.unit",
            title="Units are in the state they should be in",
            meaning="A unit named in the option units is active, or inactive, as asked. An alias counts as the unit.",
            remedy="Read 'journalctl --unit=<unit>'; service_recover restarts a unit whose probe fails.",
            source="systemctl show: LoadState, ActiveState, SubState, Result",
        ),
        Check(
            id="services.unit_enabled",
            title="Units start at boot, or do not, as they should",
            meaning="A unit that runs now and is not enabled is gone after the next reboot.",
            remedy="'systemctl enable <unit>', or 'systemctl disable <unit>'.",
            source="systemctl show: UnitFileState",
        ),
        Check(
            id="services.unit_memory",
            title="Memory of a unit",
            meaning="Memory of all processes of the unit, page cache included, against memory_max of the option units.",
            remedy="Look for growth since the last restart in the report; give it more, or a limit (MemoryHigh=).",
            source="systemctl show: MemoryCurrent",
            unit="B",
        ),
        Check(
            id="services.unit_restarts",
            title="Restarts by systemd since the last run",
            meaning="A service that crashes and is restarted by systemd looks healthy at any single moment.",
            remedy="Read 'journalctl --unit=<unit>' around the restarts; the reason stands just before each.",
            source="systemctl show: NRestarts, compared with the last run",
            levels=Levels(info=1, warning=3, critical=10),
        ),
        Check(
            id="services.enabled",
            title="Enabled services run",
            meaning="A service that is enabled and does not run. No alarm are services that do one thing at boot "
            "(oneshot), that wait for a socket, timer, path or target, or whose conditions are not met.",
            remedy="Read 'systemctl status <unit>' and start it, or disable it if it is not needed.",
            source="systemctl show: UnitFileState, ActiveState, Type, TriggeredBy, ConditionResult",
        ),
        Check(
            id="services.process",
            title="Processes run in the number expected",
            meaning="Living processes that fit an entry of the option processes; zombies do not count.",
            remedy="Start what is missing; too many often are left over from a restart that went wrong.",
            source="/proc/<pid>/stat and cmdline",
        ),
        Check(
            id="services.port",
            title="Ports listen, or are closed, as they should",
            meaning="Something listens on exactly this port and protocol, on the address asked for.",
            remedy="Check that the service runs and which address it is configured to listen on.",
            source="/proc/net/tcp, tcp6, udp, udp6",
        ),
        Check(
            id="services.port_process",
            title="The right process listens",
            meaning="Another program on the port of a service answers in its place, or keeps it from starting.",
            remedy="Stop the other program. As an ordinary user the owner cannot be seen: run with become.",
            source="/proc/<pid>/fd",
        ),
        Check(
            id="services.port_exposed",
            title="Loopback ports are not reachable from outside",
            meaning="A port that is for this host alone listens on an address that others can reach.",
            remedy="Bind the service to 127.0.0.1 and ::1, or close the port in the firewall until that is done.",
            source="/proc/net/tcp, tcp6, udp, udp6",
        ),
        Check(
            id="services.unexpected_listener",
            title="Nothing else listens",
            meaning="A port is reachable from outside that neither ports_allowed nor ports names. Loopback does not "
            "count, nor do UDP sockets in the range for outgoing traffic.",
            remedy="Find out who needs it: add it to ports_allowed, bind it to loopback, or stop it.",
            source="/proc/net/tcp, tcp6, udp, udp6",
        ),
        Check(
            id="services.recovery",
            title="Applications answer, or were made to",
            meaning="Several failed probes in a row make a restart necessary; several good ones show that it helped.",
            remedy="Read the evidence that was taken before the restart; then docs/runbooks/application-down.md.",
            source="the probe of the option units of service_recover",
        ),
        Check(
            id="services.dependency",
            title="What an application depends on answers",
            meaning="While its database is down an application is not restarted: that would only add a second outage.",
            remedy="Repair this first; the application is looked at again on the next run.",
            source="depends_on of the option units of service_recover",
        ),
    ],
)

#: The checks that service_check makes; the others belong to service_recover.
LOOKED_AT = frozenset(CATALOGUE) - {"services.recovery", "services.dependency"}
UNIT_CHECKS = frozenset(check for check in LOOKED_AT if check.startswith("services.unit")) | {"services.enabled"}
PORT_CHECKS = frozenset(check for check in LOOKED_AT if check.startswith("services.port")) | {
    "services.unexpected_listener"
}


def judge_unit(wanted: UnitWanted, units: Sequence[Unit], *, book: LevelBook) -> list[Finding]:
    """All findings for one entry of ``units``; ``units`` are those that systemd told of."""
    fitting = [unit for unit in units if unit.exists and unit.answers_to(wanted.pattern)]
    if is_pattern(wanted.pattern) and wanted.state == "active":
        # Of what a glob takes in by chance, nobody expects that it runs.
        fitting = [unit for unit in fitting if unit.enabled or unit.active != "inactive"]
    if not fitting:
        status: Status = "ok" if wanted.state == "inactive" else "critical"
        said = "no unit fits this name" if is_pattern(wanted.pattern) else "there is no such unit"
        return [CATALOGUE.stated("services.unit", wanted.pattern, status, f"{wanted.pattern}: {said} on this host")]
    return [finding for unit in fitting for finding in _judge_one(wanted, unit, book=book)]


def _judge_one(wanted: UnitWanted, unit: Unit, *, book: LevelBook) -> list[Finding]:
    status = _running(unit) if wanted.state == "active" else _stopped(unit)
    tails = {"ok": "", "skipped": ": whether and how it has run is not known any more"}
    tail = tails.get(status, f", but should be {wanted.state}")
    findings = [CATALOGUE.stated("services.unit", unit.name, status, f"{unit.name} is {unit.state()}{tail}")]
    if wanted.enabled is not None:
        findings.append(_judge_enabled(unit, wanted.enabled))
    if wanted.memory_max is not None:
        findings.append(_judge_memory(unit, wanted.memory_max, book=book))
    return findings


def _running(unit: Unit) -> Status:
    if unit.active in ("active", "reloading"):
        return "ok"
    if unit.kind == "oneshot" and unit.active == "inactive" and unit.result == "success":
        # CLD_EXITED: it has run. systemd forgets this once it has unloaded the unit.
        return "ok" if unit.exit_code == 1 else "skipped"
    # A service between two crashes is "activating (auto-restart)".
    return "warning" if unit.active == "activating" and unit.sub != "auto-restart" else "critical"


def _stopped(unit: Unit) -> Status:
    stopped: dict[str, Status] = {"inactive": "ok", "failed": "warning"}
    return stopped.get(unit.active, "critical")


def _judge_enabled(unit: Unit, wanted: bool) -> Finding:
    state = unit.file_state or "without a unit file"
    right = unit.enabled == wanted
    starts = {
        "enabled-runtime": "starts at boot until the next reboot only",
        "static": "cannot be enabled itself and starts when another unit asks for it",
    }.get(unit.file_state, "")
    if unit.file_state == "enabled-runtime":
        right = False
    summary = f"{unit.name} is {state}" + (f": {starts}" if starts else "")
    if not right:
        summary += f"; it should {'be' if wanted else 'not be'} enabled"
    return CATALOGUE.stated("services.unit_enabled", unit.name, "ok" if right else "warning", summary)


def _judge_memory(unit: Unit, most: int, *, book: LevelBook) -> Finding:
    if unit.memory is None:
        return CATALOGUE.skipped(
            "services.unit_memory",
            unit.name,
            f"{unit.name} has no memory figure: it does not run, or memory is not accounted here",
            remedy="Set MemoryAccounting=yes for the unit.",
        )
    levels = Levels(warning=int(most * 0.9), critical=most)
    return CATALOGUE.measured(
        "services.unit_memory", unit.name, unit.memory, f"Memory of {unit.name}", book=book, levels=levels
    )


def judge_enabled_services(units: Sequence[Unit], *, named: Sequence[UnitWanted]) -> list[Finding]:
    """Enabled services that do not run, without those that the user named and so asked about already."""
    asked = [
        unit
        for unit in units
        if unit.enabled
        and unit.name.endswith(".service")
        and unit.kind != "oneshot"
        and not any(unit.answers_to(wanted.pattern) for wanted in named)
    ]
    if not asked:
        return [CATALOGUE.skipped("services.enabled", "enabled services", "no enabled service was left to look at")]
    up = {unit.name for unit in units if unit.active in ("active", "activating", "reloading")}
    waiting = [unit for unit in asked if _waits(unit, up)]
    down = [unit for unit in asked if unit not in waiting and _running(unit) != "ok"]
    findings = [_stated_down(unit) for unit in down]
    running = len(asked) - len(waiting) - len(down)
    if not down:
        note = f"; {counted(len(waiting), 'other waits', 'others wait')} for what starts it" if waiting else ""
        summary = f"{counted(running, 'enabled service runs', 'enabled services run')}{note}"
        findings.append(CATALOGUE.stated("services.enabled", "enabled services", "ok", summary))
    return findings


def _waits(unit: Unit, up: Collection[str]) -> bool:
    """Whether nothing that is up asked for it: not a target such as suspend.target, nor has its socket or condition."""
    called = any(name in up for name in unit.wanted_by)
    return unit.active == "inactive" and (bool(unit.triggered_by) or unit.condition_failed or not called)


def _stated_down(unit: Unit) -> Finding:
    crashed = unit.active == "failed" or unit.sub == "auto-restart"
    status: Status = "critical" if crashed else "warning"
    return CATALOGUE.stated("services.enabled", unit.name, status, f"{unit.name} is enabled and is {unit.state()}")


def judge_restarts(
    units: Sequence[Unit], before: Mapping[str, int] | None, *, book: LevelBook, since: str
) -> list[Finding]:
    """Restarts by systemd since the counts ``before`` (by unit), which is None where there are none to compare with.

    A count that has fallen was started anew; what it shows now happened since.
    """
    services = [unit for unit in units if unit.exists and unit.name.endswith(".service")]
    if before is None:
        return [
            CATALOGUE.skipped(
                "services.unit_restarts",
                "services",
                f"no earlier run to compare with; counting starts now for {counted(len(services), 'service')}",
            )
        ]
    deltas = {unit.name: _delta(unit.restarts, before.get(unit.name)) for unit in services}
    restarted = {name: delta for name, delta in deltas.items() if delta}
    if not restarted:
        phrase = f"Restarts of {counted(len(services), 'service')} since {since}"
        return [CATALOGUE.measured("services.unit_restarts", "services", 0, phrase, book=book)]
    return [
        CATALOGUE.measured("services.unit_restarts", name, delta, f"Restarts of {name} since {since}", book=book)
        for name, delta in sorted(restarted.items())
    ]


def _delta(now: int, before: int | None) -> int:
    return now - before if before is not None and now >= before else now


def judge_process(wanted: ProcessWanted, table: Processes) -> tuple[Finding, Metric | None]:
    """One entry of ``processes``."""
    fitting = [process for process in table.all if wanted.fits(process)]
    amount = len(fitting)
    enough = amount >= wanted.least and (wanted.most is None or amount <= wanted.most)
    if not table.complete and (amount < wanted.least or wanted.most is not None):
        reason = "the kernel hides other users' processes here (hidepid)"
        remedy = "Run with become: true."
        return CATALOGUE.skipped("services.process", wanted.label, reason, remedy=remedy), None
    user = f" of {wanted.user}" if wanted.user else ""
    summary = f"{counted(amount, 'process', 'processes')}{user} for {clean(wanted.label, limit=80)} ({_range(wanted)})"
    evidence = [f"pid {process.pid} ({process.user}): {process.line or process.name}" for process in fitting]
    status: Status = "ok" if enough else "critical" if amount < wanted.least else "warning"
    finding = CATALOGUE.stated("services.process", wanted.label, status, summary, evidence=evidence)
    return finding, Metric("services.process", wanted.label, amount)


def _range(wanted: ProcessWanted) -> str:
    if wanted.most is None:
        return f"at least {wanted.least} expected"
    if wanted.most == wanted.least:
        return f"{wanted.least} expected"
    return f"{wanted.least} to {wanted.most} expected"
