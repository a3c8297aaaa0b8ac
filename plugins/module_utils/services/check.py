# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``service_check``: look once, answer everything that was asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import listeners
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import processes, systemd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.checks import (
    CATALOGUE,
    LOOKED_AT,
    PORT_CHECKS,
    UNIT_CHECKS,
    judge_enabled_services,
    judge_process,
    judge_restarts,
    judge_unit,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.expect import Expected, parse
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.port_checks import (
    judge_port,
    judge_unexpected,
    listener_metrics,
    unexpected,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import SystemdError, Unit

_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_V6_ONLY = Path("/proc/sys/net/ipv6/bindv6only")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def check(context: Context) -> Result:
    """Everything that was asked of this host's services."""
    if not context.checks & LOOKED_AT:
        raise OptionError("checks", context.params.get("checks"), f"globs that match some of {', '.join(LOOKED_AT)}")
    expected = parse(context.params)
    result = Result()
    if context.checks & UNIT_CHECKS:
        _look_at_units(context, expected, result)
    if "services.process" in context.checks and expected.processes:
        _look_at_processes(expected, result)
    if context.checks & PORT_CHECKS:
        _look_at_ports(context, expected, result)
    result.findings = [finding for finding in result.findings if finding.check in context.checks]
    return result


def _look_at_units(context: Context, expected: Expected, result: Result) -> None:
    item = "systemd"
    first = next(check for check in CATALOGUE if check in context.checks & UNIT_CHECKS)
    if not systemd.booted():
        reason = "systemd is not the service manager here, so no unit was looked at"
        result.findings.append(CATALOGUE.skipped(first, item, reason))
        return
    try:
        units = systemd.show(["*.service", "*.target", *(wanted.pattern for wanted in expected.units)])
    except SystemdError as error:
        result.findings.append(CATALOGUE.stated(first, item, "unknown", str(error)))
        return
    for wanted in expected.units:
        result.findings += judge_unit(wanted, units, book=context.book)
    if "services.enabled" in context.checks:
        result.findings += judge_enabled_services(units, named=expected.units)
    if "services.unit_restarts" in context.checks:
        result.findings += _restarts(context, units, result)
    result.metrics += _unit_metrics(units, expected)


def _restarts(context: Context, units: Sequence[Unit], result: Result) -> list[Finding]:
    boot = _boot_id()
    memory = context.memory
    counts = {unit.name: unit.restarts for unit in units if unit.exists and unit.restarts}
    result.memory = {"restarts": counts, "boot": boot, "at": iso(context.clock.now())}
    known = memory.get("restarts")
    before: dict[str, int] | None = None
    if isinstance(known, dict):
        # Counts of another boot say nothing of this one: everything counted now happened since.
        before = known if memory.get("boot") == boot else {}
    return judge_restarts(units, before, book=context.book, since=f"{str(memory.get('at', ''))[:16]}Z")


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _unit_metrics(units: Sequence[Unit], expected: Expected) -> list[Metric]:
    services = [unit for unit in units if unit.name.endswith(".service") and unit.exists]
    named = [unit for unit in units if any(unit.answers_to(wanted.pattern) for wanted in expected.units)]
    return [
        Metric("services.active", "services", sum(1 for unit in services if unit.active == "active")),
        Metric("services.failed", "services", sum(1 for unit in services if unit.active == "failed")),
        *(Metric("services.unit_memory", unit.name, unit.memory, "B") for unit in named if unit.memory is not None),
    ]


def _look_at_processes(expected: Expected, result: Result) -> None:
    table = processes.snapshot()
    for wanted in expected.processes:
        finding, metric = judge_process(wanted, table)
        result.findings.append(finding)
        if metric:
            result.metrics.append(metric)


def _look_at_ports(context: Context, expected: Expected, result: Result) -> None:
    listening = listeners.collect(owners=False)
    result.metrics += listener_metrics(listening)
    watch = expected.allowed is not None and "services.unexpected_listener" in context.checks
    strangers = (
        unexpected(listening, allowed=expected.allowed or (), ports=expected.ports, outgoing=_outgoing_ports())
        if watch
        else []
    )
    # Who holds a socket costs a walk over every process; only sockets that a finding will speak of are worth it.
    spoken_of = [one for one in listening if any(wanted.covers(one) for wanted in expected.ports)]
    owners = listeners.holders({one.inode for one in (*spoken_of, *strangers)})
    v6_only = _v6_only()
    for wanted in expected.ports:
        result.findings += judge_port(wanted, listening, owners, v6_only=v6_only)
    if watch:
        reachable = sum(1 for one in listening if not one.loopback)
        result.findings += judge_unexpected(strangers, owners, reachable=reachable)


def _v6_only() -> bool:
    """The kernel's default for sockets on all IPv6 addresses (ip-sysctl: bindv6only)."""
    try:
        return _V6_ONLY.read_text(encoding="ascii").strip() == "1"
    except (OSError, ValueError):
        return False


def _outgoing_ports() -> range:
    """The kernel's range for outgoing traffic (ip-sysctl: ip_local_port_range)."""
    try:
        low, high = (int(word) for word in _OUTGOING.read_text(encoding="ascii").split()[:2])
    except (OSError, ValueError):
        return range(32768, 61000)
    return range(low, high + 1)
