#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: access_log_review
short_description: Review the access logs of web servers
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Reads what is new in access logs, once, and tells how many requests there were, how many failed, how slow they were
    by route, who was refused at a login, which requests were attacks, which of them may have succeeded, and whether
    scripts were put among uploads.
  - Knows nginx's and Apache's format strings and lines of JSON, and finds the usual formats by itself. Lines that are
    no request are counted and told.
  - Fields are read where they stand. A status is never looked for in bytes, addresses or user agents.
  - Targets are decoded (twice over, HTML entities, Unicode, overlong UTF-8, comments) before rules score them. Bodies
    of requests are not in an access log, so an attack in a form is not seen.
  - Parameters of requests are never shown. Routes, paths and addresses are; see O(mask_addresses).
  - It runs at a low priority, and what it holds in memory has an end, whatever the log holds.
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.common_options
  - fleetcare.maintenance.check_options
attributes:
  check_mode:
    support: full
    details: The module only looks. In check mode it does not write down how far it has read either.
  diff_mode:
    support: N/A
    details: The module changes nothing.
  idempotent:
    support: full
options:
  logs:
    description:
      - The access logs. Without any, those of nginx and Apache are read at their usual places.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - An absolute path, or a glob. What rotation named, and what is packed, is read with its live log.
        type: str
        required: true
      format:
        description:
          - V(auto) finds the combined format with anything behind it, the common one, both with a virtual host in
            front, and JSON.
          - V(json), a name (V(combined), V(common), V(vhost_combined), V(vhost_common), V(main), V(combined_time) and
            others), or the string of nginx's C(log_format) or Apache's C(LogFormat), with its quotes or without.
        type: str
        default: auto
      json_fields:
        description:
          - Where parts of a request stand in lines of JSON, for names that are not found by themselves. Keys are
            C(address), C(user), C(time), C(request), C(method), C(target), C(query), C(status), C(size), C(referer),
            C(agent), C(seconds), C(upstream) and C(forwarded). A point goes into an object, as in C(request.uri).
          - A time of another unit goes under C(milliseconds), C(microseconds) or C(nanoseconds) in the place of
            C(seconds). A whole number that nobody said the unit of is not taken for a time.
        type: dict
        default: {}
      address:
        description:
          - Who counts as the client. V(address) is who connected (C($remote_addr), C(%h)).
          - V(forwarded) is the last address of C(X-Forwarded-For), which the nearest proxy wrote, and which no client
            can choose.
        type: str
        choices: [address, forwarded]
        default: address
      time:
        description:
          - Which time is measured. V(seconds) is that of the whole request, V(upstream) what was waited for upstream
            servers. V(auto) takes the first where the format has it, and else the second.
        type: str
        choices: [auto, seconds, upstream]
        default: auto
  login_paths:
    description: Regular expressions of paths whose answers 401 and 403 are refused logins, whatever their case.
    type: list
    elements: str
    default:
      - /(?:log-?in|sign-?in|logon|auth|authenticate|oauth/token|token|sessions?|wp-login\.php)(?:/|\.\w+)?$
  upload_paths:
    description: Regular expressions of paths that take what users send, whatever their case.
    type: list
    elements: str
    default:
      - /(?:\w+[_-])?(?:uploads?|attachments?|avatars?|userfiles|files|media)(?:/|$)
  paranoia:
    description:
      - How much looks like an attack, from 1 to 3. Each level adds rules and false alarms.
    type: int
    default: 1
  allow:
    description: Routes where text that looks like an attack is ordinary.
    type: list
    elements: dict
    default: []
    suboptions:
      route:
        description: Glob of routes, with the method, such as V(GET /api/query*).
        type: str
        required: true
      classes:
        description: Classes of attacks that are not looked for there; all of them unless some are named.
        type: list
        elements: str
        default: [sqli, xss, traversal, file, rfi, rce, log4shell, scanner, upload]
  max_routes:
    description:
      - How many routes are told apart, from 10 to 5000. Numbers, UUIDs, hashes, dates and tokens in paths do not make
        routes of their own.
    type: int
    default: 500
  min_requests:
    description: Below so many requests a log's or route's shares and percentiles are not judged.
    type: int
    default: 50
  mask_addresses:
    description: Whether only networks of addresses are shown, a /24 or a /48.
    type: bool
    default: false
  first_hours:
    description:
      - How many hours of the past the first review of a log looks at, by the times of its lines; V(0) for all of it.
      - Where its lines hold no time that is known, it begins O(max_bytes) before the end.
    type: float
    default: 24
  max_bytes:
    description:
      - How much of each log one run reads, at least V(1M). What is left is told, and read by the next run. The first
        run begins no more than so many bytes before the end.
    type: bytes
    default: 2G
  workers:
    description: Processes that share the work, from 1 to 64.
    type: int
    default: 1
seealso:
  - module: fleetcare.maintenance.log_review
  - module: fleetcare.maintenance.http_check
"""

EXAMPLES = r"""
- name: Review the usual access logs
  fleetcare.maintenance.access_log_review:

- name: Review the logs of a shop behind a load balancer
  fleetcare.maintenance.access_log_review:
    logs:
      - path: /var/log/nginx/shop*.access.log
        format: >-
          $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"
          "$http_user_agent" "$http_x_forwarded_for" rt=$request_time
        address: forwarded
      - path: /var/log/caddy/shop.json
        format: json
    login_paths: ["^/account/login$", "^/api/v1/session$"]
    allow:
      - route: GET /api/query*
        classes: [sqli]
    mask_addresses: true
    levels:
      "logs.http_latency[*GET /reports/*]": {warning: 10, critical: 30}
"""

RETURN = r"""
status:
  description: The worst status of all findings.
  type: str
  returned: always
  sample: warning
summary:
  description: How many findings there are of each status.
  type: str
  returned: always
  sample: "13 findings: 1 warning, 12 ok"
findings:
  description: One answer for each check and log; routes beyond a level have one of their own.
  type: list
  elements: dict
  returned: always
  contains:
    check:
      description: Id of the check.
      type: str
      returned: always
      sample: logs.http_latency
    item:
      description: The log, or the log and the route.
      type: str
      returned: always
      sample: /var/log/nginx/access.log GET /books/{n}/loans
    status:
      description: One of V(ok), V(skipped), V(info), V(warning), V(unknown), V(critical).
      type: str
      returned: always
      sample: warning
    summary:
      description: The answer in a sentence.
      type: str
      returned: always
    value:
      description: The measurement, in RV(findings[].unit).
      type: float
      returned: when it is a measurement
    unit:
      description: Unit of the measurement.
      type: str
      returned: when it is a measurement
    levels:
      description: The levels that the measurement was compared with.
      type: dict
      returned: when there are levels
    evidence:
      description: Up to 20 short lines of what a person would look at next.
      type: list
      elements: str
      returned: when there is some
    remedy:
      description: What to do about it.
      type: str
      returned: when there is something to do
metrics:
  description: Requests, bytes, errors, percentiles and attacks by class, of logs and of busy routes.
  type: list
  elements: dict
  returned: always
  sample: [{"name": "logs.http_p95", "item": "/var/log/nginx/access.log", "value": 0.137, "unit": "s"}]
logs:
  description:
    - The figures of each log. Percentiles are in seconds and within 1 % of the value at their rank.
    - Counts of addresses are exact unless C(addresses_missed) is above 0; then each may be too low by as much.
  type: list
  elements: dict
  returned: always
  contains:
    path:
      description: The log.
      type: str
      returned: always
    format:
      description: How its format was chosen.
      type: str
      returned: always
    lines:
      description: New lines.
      type: int
      returned: always
    requests:
      description: Lines that are requests.
      type: int
      returned: always
    unparsed:
      description: Lines that are none.
      type: int
      returned: always
    bytes:
      description: Bytes sent, as the log has them.
      type: int
      returned: always
    began:
      description: Time of the first request, as the log has it.
      type: str
      returned: always
    ended:
      description: Time of the last request, as the log has it.
      type: str
      returned: always
    statuses:
      description: Requests by status.
      type: dict
      returned: always
    seconds:
      description: Percentiles C(p50), C(p90), C(p95) and C(p99) of the time of a request; empty where none is logged.
      type: dict
      returned: always
    routes:
      description: The 50 busiest routes, each with requests, bytes, errors and percentiles.
      type: list
      elements: dict
      returned: always
    addresses:
      description: The 50 busiest addresses with their requests.
      type: list
      elements: dict
      returned: always
    addresses_missed:
      description: How much too low the count of an address may be.
      type: int
      returned: always
    agents:
      description: The 20 busiest user agents with their requests.
      type: list
      elements: dict
      returned: always
    missing:
      description: The 20 paths that are missing and were asked for most.
      type: list
      elements: dict
      returned: always
sources:
  description:
    - Up to 300 addresses with refused logins, attacks or failing requests, those with the most first, so that one that
      does little on each host can be seen on all of them.
    - Each has C(address), C(requests), C(errors) (answers of 400 or more), C(failures) (refused logins), C(attacks) and
      C(score).
  type: list
  elements: dict
  returned: always
state_generation:
  description: Id of what the module remembers for the next run.
  type: str
  returned: when something was remembered
state_error:
  description: Why the module could not read or write its memory.
  type: str
  returned: when it could not
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.options import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.polite import be_polite


def main() -> None:
    be_polite()
    run(check, argument_spec=ARGUMENTS, catalogue=CATALOGUE)


if __name__ == "__main__":
    main()
