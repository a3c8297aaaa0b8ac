# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about what runs and what waits: units, timers, processes, limits, the clock, restarts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso, parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.processes import Process
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, given
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.units import Timer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.view import View

_MICROCODE_OUTDATED = 2


def failed_units(view: View) -> Iterator[Answer]:
    check = "host.failed_units"
    units = given(view.host.units).units
    failed = [unit for unit in units if unit.active == "failed"]
    for unit in failed:
        since = f" since {iso(unit.since)}" if unit.since else ""
        yield view.state(check, unit.name, "warning", f"{unit.name} has failed{since} ({unit.result or 'no result'})")
    if not failed:
        yield view.state(check, "systemd", "ok", f"none of {counted(len(units), 'unit')} has failed")
    yield Metric(check, "systemd", len(failed))


def flapping_units(view: View) -> Iterator[Answer]:
    check = "host.flapping_units"
    units = given(view.host.units).units
    before = view.recall("restarts")
    grew = [(unit, before.grown(unit.name, unit.restarts)) for unit in units if unit.restarts]
    flapping = [(unit, amount if amount is not None else unit.restarts) for unit, amount in grew if amount != 0]
    for unit, amount in flapping:
        phrase = f"times systemd had to restart {unit.name} since the last run"
        yield from view.measure(check, unit.name, amount, phrase, note=f"now {unit.active} ({unit.sub})")
    if not flapping:
        yield view.state(check, "systemd", "ok", "systemd had to restart no unit since the last run")


def overdue_timers(view: View) -> Iterator[Answer]:
    check = "host.overdue_timers"
    timers = given(view.host.units).timers
    try:
        promised = view.recall("timers").data
    except Absent:
        promised = {}
    late = []
    for timer in timers:
        since = overdue_since(timer, promised.get(timer.name), view)
        if since is not None:
            late.append((timer, (view.host.now - since).total_seconds()))
    for timer, seconds in late:
        last = f"last run {iso(timer.last)}" if timer.last else "never run in this boot"
        phrase = f"{timer.name} is overdue"
        yield from view.measure(check, timer.name, seconds, phrase, note=last, evidence=[f"starts {timer.activates}"])
    if not late:
        yield view.state(check, "systemd", "ok", f"none of {counted(len(timers), 'timer')} is overdue")


def overdue_since(timer: Timer, promised: object, view: View) -> datetime | None:
    """Since when a timer should have run: by its next moment, or by the one that systemd named at the last run.

    A timer that keeps no promise over a switched-off time (``Persistent=no``) owes nothing from before the boot.
    """
    now = view.host.now
    if timer.waiting and timer.due and timer.due < now:
        return timer.due
    try:
        moment = parse_time(str(promised), option="state") if promised else None
    except OptionError:
        moment = None
    if moment is None or moment >= now or (timer.last and timer.last >= moment):
        return None
    off_then = (now - moment).total_seconds() > view.host.boot.uptime
    return None if off_then and not timer.persistent else moment


def zombies(view: View) -> Iterator[Answer]:
    dead = given(view.host.processes).zombies
    names = {process.pid: process.name for process in given(view.host.processes).running}
    evidence = [
        f"{process.name} ({process.pid}), child of {names.get(process.parent, '?')} ({process.parent})"
        for process in dead
    ]
    phrase = "dead processes whose parent does not care"
    yield from view.measure("host.zombies", "processes", len(dead), phrase, evidence=evidence)


def blocked(view: View) -> Iterator[Answer]:
    stuck = given(view.host.processes).stuck
    phrase = "processes in uninterruptible sleep during the whole sample"
    yield from view.measure("host.blocked", "processes", len(stuck), phrase, evidence=_listed(stuck))


def _listed(processes: Sequence[Process]) -> list[str]:
    return [f"{process.name} ({process.pid})" for process in processes]


def file_handles(view: View) -> Iterator[Answer]:
    limits = given(view.host.limits)
    yield from view.measure(
        "host.file_handles",
        "files",
        100.0 * limits.handles / limits.handles_max,
        "open file handles the system allows in use",
        note=f"{limits.handles} open",
    )


def threads(view: View) -> Iterator[Answer]:
    limits = given(view.host.limits)
    amounts = [("system", limits.threads, limits.threads_max)]
    if limits.group_threads is not None and limits.group_threads_max:
        amounts.append(("container", limits.group_threads, limits.group_threads_max))
    for item, now, most in amounts:
        phrase = f"threads that the {item} allows in use"
        yield from view.measure("host.threads", item, 100.0 * now / most, phrase, note=f"{now} of {most}")


def time_sync(view: View) -> Iterator[Answer]:
    check = "host.time_sync"
    state = given(view.host.clock)
    keeper = state.daemon or "no time daemon runs here"
    if view.host.boot.container:
        keeper = "the machine that the container runs on"
    if state.synchronised:
        yield view.state(check, "clock", "ok", f"the kernel's clock is kept in time ({keeper})")
    else:
        remedy = "Bring the clock of the container's machine in time." if view.host.boot.container else ""
        yield view.state(check, "clock", "warning", f"the kernel's clock is not kept in time ({keeper})", remedy=remedy)


def time_offset(view: View) -> Iterator[Answer]:
    state = given(view.host.clock)
    if not state.synchronised:
        raise Absent("the clock is not kept in time, so nobody knows how far it is off")
    at_most = f"at most by {quantity(state.maximum_error, 's')} as the kernel sees it"
    if state.offset is None:
        keeper = state.daemon or "whoever keeps it in time"
        remedy = "Let chronyc answer on this host." if keeper == "chronyd" else ""
        reason = f"{keeper} does not tell how far the clock is off; {at_most}"
        yield view.state("host.time_offset", "clock", "skipped", reason, remedy=remedy)
    else:
        yield from view.measure("host.time_offset", "clock", abs(state.offset), "the clock is off by", note=at_most)
    yield Metric("host.time_error", "clock", state.maximum_error, "s")


def reboot(view: View) -> Iterator[Answer]:
    check = "host.reboot"
    state = given(view.host.reboot)
    reasons, since = [], []
    if state.marked:
        reasons.append("the distribution asks for it")
        since.append(state.marked)
    if state.newest:
        reasons.append(f"kernel {state.newest} is installed, {state.running} runs")
        since.extend([state.newest_since] if state.newest_since else [])
    microcode = view.host.needrestart
    if microcode is not None and not isinstance(microcode, Absent) and microcode.microcode >= _MICROCODE_OUTDATED:
        reasons.append("newer processor microcode is installed")
    if not reasons:
        where = "" if not view.host.boot.container else "; the kernel is not the container's own and was not looked at"
        yield view.state(check, "host", "ok", f"nothing asks for a reboot{where}")
        return
    if not since:
        # needrestart gives no date, and 0 s would be a figure that nobody measured.
        yield view.state(check, "host", "info", f"a reboot is due ({'; '.join(reasons)}); since when is not known")
        return
    waiting = max(0.0, (view.host.now - min(since, default=view.host.now)).total_seconds())
    phrase = f"a reboot is due ({'; '.join(reasons)}) and has been waiting for"
    yield from view.measure(check, "host", waiting, phrase, evidence=[f"package {name}" for name in state.packages])


def libraries(view: View) -> Iterator[Answer]:
    check = "host.libraries"
    outdated = given(view.host.outdated)
    owners: dict[str, list[str]] = {}
    for program in outdated:
        owners.setdefault(program.owner, []).extend(program.files)
    told = view.host.needrestart
    if told is not None and not isinstance(told, Absent):
        for service in told.services:
            owners.setdefault(service, []).append("needrestart")
    evidence = [f"{owner}: {', '.join(sorted(set(files))[:3])}" for owner, files in sorted(owners.items())]
    phrase = "programs that still run on files which an update has replaced"
    yield from view.measure(check, "programs", len(owners), phrase, evidence=evidence)


def needrestart_answer(view: View) -> Iterator[Answer]:
    check = "host.needrestart"
    if not view.settings.needrestart:
        raise Absent("the option needrestart is off", remedy="Set needrestart: true to have it asked.")
    told = given(view.host.needrestart)
    outdated = [word for word, state in (("kernel", told.kernel), ("microcode", told.microcode)) if state > 1]
    parts = [*outdated, *([counted(len(told.services), "service")] if told.services else [])]
    words = f"needrestart names {', '.join(parts)}" if parts else "needrestart names nothing to restart"
    yield view.state(check, "host", "info" if parts else "ok", words, evidence=told.services)


def uptime(view: View) -> Iterator[Answer]:
    check = "host.uptime"
    boot = view.host.boot
    yield from view.measure(check, "host", boot.uptime, "time since the last boot")
    try:
        before = view.recall("boot")
    except Absent:
        return
    if not before.same_boot:
        booted = quantity(boot.uptime, "s")
        yield view.state(check, "boot", "info", f"the host was booted {booted} ago, after the last run")
