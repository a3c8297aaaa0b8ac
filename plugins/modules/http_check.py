#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: http_check
short_description: Measure whether, how fast and with what HTTP endpoints answer
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Asks many HTTP and HTTPS endpoints at once, each several times and each time on a new connection, and judges
    percentiles and error rates instead of a single request.
  - Each request is timed by phase, that is name resolution, connecting, TLS handshake, first byte and transfer.
  - An endpoint that does not answer is one critical finding with its cause (C(dns), C(refused), C(unreachable),
    C(timeout), C(tls), C(reset) or C(protocol)); what else would have been asked of it is V(skipped).
  - Speaks HTTP/1.1 without a proxy and asks for bodies that are not compressed. Whatever a server sends is limited in
    size and time.
  - Run it on the host to see what the host sees, or delegate it to another host to see what users see.
notes:
  - Percentiles are nearest-rank, so each is a time that was really measured. With fewer than 20 samples the 95th
    percentile, and with fewer than 100 the 99th, is the slowest sample, and the finding says so.
  - With 5 samples one failed request is 20 %. Raise O(samples) for a finer figure, or let the level of C(web.errors)
    ask for several runs in a row with C(for).
  - Values of header fields, bodies, passwords and queries are never in a result nor in the host's log. An evidence
    line in which the server sends one of them back is masked.
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.common_options
  - fleetcare.maintenance.check_options
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: It changes nothing.
  idempotent:
    support: full
options:
  endpoints:
    description:
      - What to ask. Each is a URL, or a mapping with C(url), optionally C(name) (how findings call it) and C(server)
        (what serves it, for the evidence), and any option of this module from O(method) to O(login_password), which
        then takes the place of the module's for this endpoint.
      - At most 10000.
    type: list
    elements: raw
    required: true
  concurrency:
    description: How many endpoints are asked at the same time, from 1 to 500. The samples of one follow each other.
    type: int
    default: 50
  budget_seconds:
    description:
      - After how many seconds the module ends, done or not. An endpoint whose turn had not come is V(unknown).
    type: float
    default: 300.0
  method:
    description: Method of the request.
    type: str
    choices: [GET, HEAD, POST]
    default: GET
  headers:
    description: Header fields to send, by name.
    type: dict
    default: {}
  body:
    description: Body of a C(POST). Text is sent as it is, anything else as JSON.
    type: raw
  expected_status:
    description:
      - Status codes that are right, as single codes, classes and ranges such as V(200), V(2xx) and V(301-308).
      - Without it V(2xx), and with O(redirects=expect) the redirecting ones.
    type: list
    elements: str
    default: []
  json:
    description:
      - What must hold in a JSON body. C(path) leads to one or more places, and every other key is a condition for
        each of them, one of C(equals), C(in) (a list), C(min), C(max), C(matches) (a regular expression) and C(exists).
      - A path is made of names, C([index]) and C(*) (every member or element), joined by dots, such as
        C(checks.*.status). A place that is not there breaks the assertion unless C(exists) is V(false).
    type: list
    elements: dict
    default: []
  body_matches:
    description: Regular expressions that must be found in the body.
    type: list
    elements: str
    default: []
  body_lacks:
    description: Regular expressions that must not be found in the body.
    type: list
    elements: str
    default: []
  header_matches:
    description: Header fields that must be there, and the regular expression to be found in each.
    type: dict
    default: {}
  redirects:
    description:
      - Whether redirects are followed, are a fault (V(refuse)), or must come and are not followed (V(expect)).
      - A redirect whose status code is in O(expected_status) is an answer and not followed.
    type: str
    choices: [follow, refuse, expect]
    default: follow
  redirect_to:
    description: Regular expression to be found in the URL that an expected redirect names or a followed one ends at.
    type: str
  max_redirects:
    description: How many redirects in a row are followed, from 1 to 20.
    type: int
    default: 5
  redirect_other_host:
    description:
      - Whether redirects may lead to another host. With and without C(www.) in front is the same host.
      - Header fields, login and client certificate are not sent to another host.
    type: bool
    default: false
  redirect_downgrade:
    description: Whether redirects may lead from https to plain http.
    type: bool
    default: false
  ip_version:
    description: Which version of IP to use. V(both) makes two items of the endpoint, one for each.
    type: str
    choices: [any, '4', '6', both]
    default: any
  timeout_seconds:
    description: Time limit of one request with all its redirects, from 0.05 to 600 seconds.
    type: float
    default: 10.0
  samples:
    description: How many requests are measured, from 1 to 1000.
    type: int
    default: 5
  warmup:
    description: How many requests come first and are not measured, from 0 to 10.
    type: int
    default: 1
  max_bytes:
    description: Size in bytes of the body at which reading stops and C(web.size) warns.
    type: int
    default: 1048576
  min_bytes:
    description: Size in bytes of the body below which C(web.size) warns.
    type: int
    default: 0
  tls_verify:
    description: Whether the certificate must be valid, trusted and for this name.
    type: bool
    default: true
  ca_cert:
    description: File of authorities to trust, in PEM form, on the host that asks. By default those of the system.
    type: path
  client_cert:
    description: Client certificate in PEM form, on the host that asks.
    type: path
  client_key:
    description: Key of O(client_cert), where it is not in the same file. It must not be encrypted.
    type: path
  sni:
    description: Name for which TLS is spoken and the certificate is verified, in place of the URL's host.
    type: str
  connect_to:
    description:
      - Address, or address:port, to connect to in place of the URL's host, for instance one of the machines behind a
        load balancer. The request is the same.
    type: str
  refused:
    description:
      - Whether the endpoint must not be reachable at all from where the module runs. Any connection that is taken is
        critical then, whatever is answered.
    type: bool
    default: false
  login_user:
    description: User of HTTP basic authentication.
    type: str
  login_password:
    description: Password of HTTP basic authentication.
    type: str
"""

EXAMPLES = r"""
- name: Ask the application's health page, with each dependency that it lists
  fleetcare.maintenance.http_check:
    endpoints:
      - name: library
        url: http://localhost:5000/api/health
      - name: campus
        url: https://campus.example.org/health/detailed
        json:
          - path: status
            equals: ok
          - path: checks.*.status
            in: [ok, healthy]
          - path: checks.database.response_ms
            max: 500

- name: See from the controller what users see, over both versions of IP
  fleetcare.maintenance.http_check:
    endpoints:
      - https://campus.example.org/
      - https://campus.example.org/api/health
      - url: http://campus.example.org/
        redirects: expect
        redirect_to: ^https://campus\.example\.org/
    ip_version: both
    samples: 20
  delegate_to: localhost

- name: Make sure that Grafana and Prometheus cannot be reached on the public name
  fleetcare.maintenance.http_check:
    endpoints:
      - https://campus.example.org:3001/
      - http://campus.example.org:9090/
    refused: true
    timeout_seconds: 3
  delegate_to: localhost

- name: Ask one machine behind the load balancer, with a token
  fleetcare.maintenance.http_check:
    endpoints:
      - https://campus.example.org/api/me
    connect_to: 192.0.2.11
    headers:
      Authorization: "Bearer {{ campus_probe_token }}"
    levels:
      web.latency: {info: null, warning: 0.5, critical: 1, for: 2}
"""

RETURN = r"""
status:
  description: The worst status of all findings.
  returned: success
  type: str
  sample: warning
summary:
  description: How many findings there are of each status.
  returned: success
  type: str
  sample: "4 findings: 1 warning, 3 ok"
findings:
  description: The answer of each check for each endpoint.
  returned: success
  type: list
  elements: dict
  sample:
    - check: web.latency
      item: library
      status: warning
      summary: >-
        p95 of 5 samples: 2.4 s (info from 1 s, warning from 2 s, critical from 5 s); median 310 ms, slowest 2.4 s; the
        p95 of 5 samples is the slowest of them
      value: 2.4
      unit: s
      levels: {info: 1, warning: 2, critical: 5, direction: upper}
metrics:
  description:
    - Figures for trends. C(web.latency) is the 95th percentile, beside it stand C(web.latency_p50), C(web.latency_p90),
      C(web.latency_p99) and C(web.latency_max).
    - C(web.dns), C(web.connect), C(web.tls), C(web.first_byte) and C(web.transfer) are medians of the phases, all in
      seconds. C(web.errors) is in percent, C(web.size) in bytes.
  returned: success
  type: list
  elements: dict
  sample: [{name: web.latency, item: library, value: 0.0312, unit: s}]
endpoints:
  description: What was measured, a row an endpoint, to compare before and after a change.
  returned: success
  type: list
  elements: dict
  sample:
    - name: library
      url: http://localhost:5000/api/health
      samples: 5
      failed: 0
      seconds: {p50: 0.0291, p90: 0.0312, p95: 0.0312, p99: 0.0312, max: 0.0312}
      phases: {dns: 0.0004, connect: 0.0002, first_byte: 0.0281, transfer: 0.0001}
probe:
  description:
    - How many endpoints and requests there were, how many seconds all of it took, and by how many seconds the module
      itself was late at worst; times cannot be more exact than that.
  returned: success
  type: dict
  sample: {endpoints: 2, requests: 12, seconds: 0.31, lag_seconds: 0.001}
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.endpoint import ARGUMENTS, PRIVATE


def main() -> None:
    run(check, argument_spec=ARGUMENTS, catalogue=CATALOGUE, private=PRIVATE)


if __name__ == "__main__":
    main()
