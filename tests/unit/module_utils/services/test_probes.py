# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import http.server
import socket
import ssl
import sys
import threading

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import probes, systemd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.probes import (
    CommandProbe,
    PortProbe,
    ProcessProbe,
    UnitProbe,
    UrlProbe,
    ask,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.targets import parse_probe

ANY = ((200, 399),)


@pytest.fixture
def server():
    """A server whose answer is the last part of the path; /hang never answers, /drip sends a byte now and then."""
    release = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            word = self.path.partition("?")[0].strip("/")
            if word == "hang":
                release.wait(10)
            elif word == "rude":
                self.close_connection = True
            elif word == "drip":
                while not release.wait(0.05):
                    self.wfile.write(b"H")
            else:
                self.send_response(int(word))
                self.send_header("Location", "/hang")
                self.end_headers()

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        release.set()
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("word", "verdict", "said"),
    [
        ("200", "good", "HTTP status 200"),
        ("302", "good", "HTTP status 302"),
        ("500", "bad", "HTTP status 500"),
        ("503", "bad", "HTTP status 503"),
        ("429", "bad", "HTTP status 429"),
        ("404", "blind", "a restart does not change that"),
        ("401", "blind", "a restart does not change that"),
        ("hang", "bad", "no answer within 0.3 s"),
        ("drip", "bad", "no answer within 0.3 s"),
        ("rude", "bad", "connection closed without an answer"),
    ],
)
def test_what_a_server_says(server, word, verdict, said):
    outcome = ask(UrlProbe(f"{server}/{word}?token=secret", ANY), timeout=0.3)
    assert (outcome.verdict, outcome.good) == (verdict, verdict == "good")
    assert said in outcome.said
    assert "secret" not in outcome.said


def test_a_status_the_user_expects_is_good(server):
    assert ask(UrlProbe(f"{server}/401", ((401, 401),)), timeout=2).good


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_a_closed_port_is_refused(closed_port):
    assert ask(PortProbe("127.0.0.1", closed_port), timeout=2).said == "connection refused"
    assert ask(UrlProbe(f"http://127.0.0.1:{closed_port}/", ANY), timeout=2).verdict == "bad"


def test_an_open_port_is_good():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ask(PortProbe("127.0.0.1", server.getsockname()[1]), timeout=2).good


def test_a_name_that_cannot_be_resolved_is_no_reason_to_restart(monkeypatch):
    def refuse(*_arguments, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    outcome = ask(UrlProbe("http://db.invalid/", ANY), timeout=2)
    assert (outcome.verdict, outcome.said) == ("blind", "the host name cannot be resolved (Name or service not known)")


def test_a_name_server_that_hangs_does_not_hold_us_up(monkeypatch):
    release = threading.Event()

    def hang(*_arguments, **_options):
        release.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    outcome = ask(PortProbe("db.invalid", 5432), timeout=0.1)
    release.set()
    assert (outcome.verdict, outcome.said) == ("blind", "the host name was not resolved within 0.1 s")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_the_probe_is_no_reason_to_restart(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_a, **_o: 1 / 0)
    assert ask(PortProbe("127.0.0.1", 1), timeout=2).verdict == "blind"


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "bad"),
        (ssl.SSLError("wrong version number"), "bad"),
        (TimeoutError(), "bad"),
        (socket.timeout(), "bad"),
        (OSError(101, "Network is unreachable"), "blind"),
        (OSError(24, "Too many open files"), "blind"),
    ],
)
def test_what_may_be_concluded_from_an_error(monkeypatch, error, verdict):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    assert ask(PortProbe("127.0.0.1", 1), timeout=2).verdict == verdict


def test_a_certificate_that_is_not_trusted_is_no_reason_to_restart(monkeypatch):
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"

    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    outcome = ask(UrlProbe("https://127.0.0.1/", ANY), timeout=2)
    assert outcome.verdict == "blind"
    assert "self-signed certificate" in outcome.said


def test_certificates_that_cannot_be_read_are_said():
    outcome = ask(UrlProbe("https://127.0.0.1/", ANY, ca_cert="/nowhere.pem"), timeout=2)
    assert (outcome.verdict, "/nowhere.pem" in outcome.said) == ("blind", True)


@pytest.mark.parametrize(
    ("argv", "verdict"),
    [
        ([sys.executable, "-c", ""], "good"),
        ([sys.executable, "-c", "import sys; sys.exit('password=hunter2')"], "bad"),
        ([sys.executable, "-c", "import time; time.sleep(30)"], "bad"),
        (["no-such-program-anywhere"], "blind"),
    ],
)
def test_a_command(argv, verdict):
    outcome = ask(CommandProbe(tuple(argv)), timeout=2)
    assert outcome.verdict == verdict
    assert "hunter2" not in outcome.said


def test_a_command_that_the_kernel_does_not_start_is_no_reason_to_restart(tmp_path):
    program = tmp_path / "probe"
    program.write_text("no program at all")
    program.chmod(0o755)
    outcome = probes.ask(parse_probe({"command": [str(program)]}, option="probe"), timeout=5)
    assert outcome.verdict == "blind"
    assert "cannot be started" in outcome.said


def test_a_process():
    own = parse_probe({"process": "no such process, ever"}, option="probe")
    assert isinstance(own, ProcessProbe)
    assert ask(own, timeout=1).verdict == "bad"
    assert ask(parse_probe({"process": "."}, option="probe"), timeout=1).good


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        ("Id=a.service\nLoadState=loaded\nActiveState=active\nSubState=running", "good"),
        ("Id=b.service\nNames=b.service a.service\nLoadState=loaded\nActiveState=active\nSubState=running", "good"),
        ("Id=a.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead", "bad"),
        ("Id=a.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead", "blind"),
        ("", "blind"),
    ],
)
def test_a_unit(monkeypatch, shown, verdict):
    monkeypatch.setattr(systemd, "show", lambda names: systemd.parse_show(shown))
    assert ask(UnitProbe("a.service"), timeout=1).verdict == verdict


def test_a_manager_that_cannot_be_asked_is_blind(monkeypatch):
    def fail(names):
        raise systemd.SystemdError("no bus")

    monkeypatch.setattr(systemd, "show", fail)
    assert ask(UnitProbe("a.service"), timeout=1) == probes.Outcome("blind", "no bus", pytest.approx(0, abs=1))


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ({"url": "http://h:1/p?token=x"}, "http://h:1/p"),
        ({"port": 5432}, "tcp 127.0.0.1:5432"),
        ({"port": 5432, "host": "::1"}, "tcp [::1]:5432"),
        ({"command": ["/usr/bin/mysqladmin", "--password=x"]}, "command mysqladmin"),
        ({"process": "node"}, "process node"),
        ({"unit": "mysql"}, "mysql.service"),
    ],
)
def test_a_label_shows_no_secret(raw, label):
    assert parse_probe(raw, option="probe").label == label
