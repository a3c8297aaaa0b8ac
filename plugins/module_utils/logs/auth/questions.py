# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table from check to answer, and what is left for the next run and for the fleet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Questions
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import judge_firewall, judge_logins
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.blocks import Blocks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.memory import Memory
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.review import (
    FAILURES_LAST,
    NOTED,
    Review,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.view import View

#: Which part of what is collected each check needs.
QUESTIONS: Questions[View] = {
    "logs.readable": (partial(judge_logins.judge_sources, check="logs.readable"), ()),
    "logs.lost": (partial(judge_logins.judge_sources, check="logs.lost"), ()),
    "logs.behind": (partial(judge_logins.judge_sources, check="logs.behind"), ()),
    "logs.skipped_lines": (partial(judge_logins.judge_sources, check="logs.skipped_lines"), ()),
    "logs.auth_failures": (judge_logins.judge_failures, ("logins",)),
    "logs.auth_brute_force": (judge_logins.judge_brute_force, ("logins",)),
    "logs.auth_spray": (judge_logins.judge_spray, ("logins",)),
    "logs.auth_distributed": (judge_logins.judge_distributed, ("logins",)),
    "logs.auth_success_after_failures": (judge_logins.judge_success, ("logins",)),
    "logs.auth_new_network": (judge_logins.judge_new_networks, ("logins",)),
    "logs.auth_root_login": (judge_logins.judge_root, ("logins",)),
    "logs.auth_sudo_failures": (judge_logins.judge_sudo, ("logins",)),
    "logs.auth_accounts": (judge_logins.judge_accounts, ("logins",)),
    "logs.auth_privileges": (judge_logins.judge_privileges, ("logins",)),
    "logs.auth_forged": (judge_logins.judge_forged, ("logins",)),
    "logs.auth_unparsed": (judge_logins.judge_unparsed, ("logins",)),
    "logs.firewall_blocked": (judge_firewall.judge_blocked, ("kernel",)),
    "logs.firewall_listener_hit": (judge_firewall.judge_listener_hit, ("kernel", "listeners")),
    "logs.firewall_outgoing": (judge_firewall.judge_outgoing, ("kernel",)),
}

#: Addresses of one host that the controller is told of, to see which of them go from host to host.
TOLD = 300


def remember(memory: Memory, view: View) -> Mapping[str, Any]:
    """What the next run should know."""
    if isinstance(view.logins, Review):
        counted = (
            (address, source.passwords or source.pam_since, source.keys, source.last)
            for address, source in view.logins.sources.heaviest()
            if source.passwords + source.keys + source.pam_since >= NOTED
        )
        memory.add_failures(counted, since=view.now - FAILURES_LAST)
    if isinstance(view.kernel, Blocks):
        memory.ports |= judge_firewall.listener_hits(view).keys()
    # Where logins could not be read, nobody knows yet who logs in from where, and the first who do are not news.
    return memory.as_data(learned=isinstance(view.logins, Review))


def sources(view: View) -> list[dict[str, Any]]:
    """The busiest addresses with their failures and blocked packets, for the report to compare among hosts."""
    failures: dict[str, int] = {}
    blocked: dict[str, int] = {}
    if isinstance(view.logins, Review):
        failures = {address: source.failures for address, source in view.logins.sources.heaviest() if source.failures}
    if isinstance(view.kernel, Blocks):
        blocked = {address: entry.packets for address, entry in view.kernel.sources.heaviest()}
    # An address that failed to log in says more than one whose packet a firewall threw away.
    addresses = list(dict.fromkeys([*list(failures)[: TOLD // 2], *blocked, *failures]))[:TOLD]
    return [
        # The report tells addresses apart by their spelling, and of a /64 the first of its addresses is the spelling.
        {"address": address.partition("/")[0], "failures": failures.get(address, 0), "blocked": blocked.get(address, 0)}
        for address in addresses
    ]
