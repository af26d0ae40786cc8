"""What wrk is told, and what is read from its report."""
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from harness import h2load
from harness.load import Load, command, parse
from harness.measuring import Expected
from harness.processes import Failed
from harness.tokens import Material

REPORT = """Running 2s test @ http://127.0.0.1:19110/orders
  1 threads and 64 connections
  Latency Distribution
     50%  746.00us
     75%    0.90ms
     90%    1.20ms
     99%    3.04ms
  20000 requests in 2.00s, 5.44MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 7
Requests/sec:  10000.00
Transfer/sec:      2.72MB
"""

H2LOAD_REPORT = """starting benchmark...
Application protocol: h2

finished in 2.01s, 10000.50 req/s, 2.72MB/s
requests: 20001 total, 20101 started, 20001 done, 19990 succeeded, 11 failed, 2 errored, 0 timeout
status codes: 19990 2xx, 4 3xx, 5 4xx, 2 5xx
traffic: 5.44MB (5704000) total, 781.25KB (800000) headers (space savings 94.29%), 2.44MB (2560000) data
"""


class Reports(unittest.TestCase):
    def test_every_figure_is_read(self):
        found = parse(REPORT)
        self.assertEqual((found.requests, found.seconds, found.rps), (20000, 2.0, 10000.0))
        self.assertEqual((found.p50, found.p90, found.p99), (746.0, 1200.0, 3040.0))
        self.assertEqual((found.other_statuses, found.socket_errors), (7, 3))

    def test_every_figure_of_h2load_is_read_and_there_are_no_percentiles(self):
        found = h2load.parse(H2LOAD_REPORT)
        self.assertEqual((found.requests, found.seconds, found.rps), (20001, 2.01, 10000.5))
        self.assertEqual((found.p50, found.p99), (None, None))
        self.assertEqual((found.other_statuses, found.socket_errors), (7, 2))

    def test_a_failed_h2load_says_why(self):
        with self.assertRaisesRegex(Failed, "could not connect"):
            h2load.parse("starting benchmark...", "could not connect to host")

    def test_no_report_is_a_failure_with_what_was_said(self):
        with self.assertRaisesRegex(Failed, "unable to connect"):
            parse("", "unable to connect to 127.0.0.1")


class Expectations(unittest.TestCase):
    def test_one_wrong_answer_is_an_error(self):
        found = parse(REPORT.replace("Socket errors: connect 0, read 1, write 0, timeout 2", ""))
        self.assertEqual(Expected(200).errors(found), ["7 answers of 20000 were not 200"])

    def test_an_answer_that_should_have_been_refused_is_an_error(self):
        self.assertIn("19993 answers of 20000 were not 401", Expected(401).errors(parse(REPORT)))

    def test_socket_errors_are_errors(self):
        self.assertIn("3 socket errors", Expected(200).errors(parse(REPORT)))


class Commands(unittest.TestCase):
    def setUp(self):
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.material = Material(Path(directory.name))
        self.material.file("hot").write_text("TOKEN")
        found = patch("harness.places.program", lambda name: name)
        found.start()
        self.addCleanup(found.stop)

    def words(self, load: Load, seconds: int = 2) -> str:
        return " ".join(command(load, 1, seconds, self.material))

    def test_a_load_is_bounded(self):
        for seconds in (0, 16):
            with self.subTest(seconds), self.assertRaises(ValueError):
                self.words(Load(), seconds)

    def test_the_token_is_sent_unless_not(self):
        self.assertIn("Authorization: Bearer TOKEN", self.words(Load()))
        self.assertNotIn("Authorization", self.words(Load(sends_token=False)))

    def test_h2load_goes_to_the_target_and_names_the_host(self):
        words = " ".join(h2load.command(Load(tls=True, http2=True, connections=4, streams=100), 9, 2, self.material))
        for wanted in ("-c 4 -m 100 -D 2", "--connect-to=127.0.0.1:9 https://api.example.com/", "authorization: Bearer TOKEN"):
            self.assertIn(wanted, words)
        self.assertNotIn("--h1", words)
        self.assertIn("--h1", h2load.command(Load(tls=True), 9, 2, self.material))

    def test_each_kind_has_its_script(self):
        rows = [
            (Load(requests="few"), "cycle.lua", "few.requests"),
            (Load(requests="few", once=True), "cycle.lua", "few.requests once"),
            (Load(requests="few", flood=True, pause_ms=10), "flood.lua", "few.requests 10"),
            (Load(upload=100), "upload.lua", "-- 100"),
            (Load(pause_ms=8), "paced.lua", "-- 8"),
        ]
        for load, script, end in rows:
            with self.subTest(script):
                self.assertIn(script, self.words(load))
                self.assertTrue(self.words(load).endswith(end))
