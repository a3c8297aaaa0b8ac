# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of an access log, as a table."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels

_LOG = "the access log; ngx_http_log_module, mod_log_config"
_RULES = "decoded targets, user agents and referrers; the approach of the OWASP Core Rule Set"

CHECKS = (
    Check(
        id="logs.http_traffic",
        title="Requests and who made them",
        meaning="How many requests there were, how many bytes they took, and which routes, addresses and user agents "
        "stand out. A log that ought to have requests and has none says that something does not arrive.",
        remedy="See that the server runs, is reached, and writes this log.",
        source=_LOG,
    ),
    Check(
        id="logs.http_server_errors",
        title="Requests answered with 5xx",
        meaning="The share of requests that the server or what is behind it failed at, for the log and for each route.",
        remedy="Read the application's log and the server's error log of that time with log_review.",
        source=f"{_LOG}; RFC 9110 section 15.6",
        unit="%",
        levels=Levels(info=0.5, warning=1, critical=5),
    ),
    Check(
        id="logs.http_client_errors",
        title="Requests answered with 4xx",
        meaning="The share of requests that were refused. Broken links, expired sessions and scanners make it rise.",
        remedy="Look at the paths that are missing and the addresses that ask for them.",
        source=f"{_LOG}; RFC 9110 section 15.5",
        unit="%",
        levels=Levels(info=15, warning=40),
    ),
    Check(
        id="logs.http_latency",
        title="Time of requests, 95th percentile",
        meaning="What one request in twenty took at least, for the log and for each route; averages hide it.",
        remedy="Look at the slow routes: postgresql_check tells whether the database is slow, host_check whether the "
        "machine is.",
        source="$request_time, $upstream_response_time; %D, %T",
        unit="s",
        levels=Levels(info=1, warning=2, critical=5),
    ),
    Check(
        id="logs.http_login_failures",
        title="Refused logins from one address",
        meaning="Answers 401 and 403 of login routes, by address and by user. Many from one address is a brute force, "
        "one user from many addresses a spray.",
        remedy="Limit the rate of the login route (limit_req), block the address, and ask for a second factor.",
        source=f"{_LOG}; RFC 9110 sections 15.5.2, 15.5.4",
        levels=Levels(info=5, warning=20, critical=500),
    ),
    Check(
        id="logs.http_login_success",
        title="Login accepted after refusals",
        meaning="An address was let in after it had been refused; the value is how often in a row since it was let in "
        "last. After many refusals somebody may have guessed a password.",
        remedy="Ask the user whose session it is; end it and change the password where it is not theirs.",
        source=_LOG,
        levels=Levels(warning=10, critical=50),
    ),
    Check(
        id="logs.http_attacks",
        title="Attack attempts",
        meaning="Requests whose decoded target, user agent or referrer scores as an attack. On the open internet there "
        "are always some; many, or a new class, deserve a look.",
        remedy="Block the addresses that stand out, see that what they look for is not there, and name routes where "
        "such text is ordinary in the option allow.",
        source=_RULES,
        levels=Levels(info=1, warning=1000),
    ),
    Check(
        id="logs.http_attack_success",
        title="Attacks that may have succeeded",
        meaning="Attacks that were answered with success and with a size that the route's ordinary answers do not "
        "have, or with a file that should not be served.",
        remedy="Repeat the request of such a route in a test system; look at the application's log of that time; until "
        "it is clear, treat what the route can read as known to others.",
        source=f"{_RULES}; sizes of the route's ordinary answers",
        levels=Levels(warning=1, critical=20),
    ),
    Check(
        id="logs.http_uploads",
        title="Scripts in folders of uploads",
        meaning="Something that a server would run was written to an upload route, or was fetched from a folder of "
        "uploads with success: the way a web shell is placed and called.",
        remedy="Look at the file, take execution away from the folder, and look for what else that address did.",
        source=_LOG,
        levels=Levels(warning=1),
    ),
)
