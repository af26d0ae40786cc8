"""Configurations, manifests, and who takes part in what."""
import json
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from harness.cases import Expect, cases
from harness.cli import TARGETS
from harness.portcullis import write_manifests
from harness.scenarios import SCENARIOS
from harness.targets import Direct, Setting
from harness.tokens import Material, _write_certificates, _write_key
from cryptography.hazmat.primitives.asymmetric import rsa


class Prepared(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        cls.material = Material(Path(cls.directory.name))
        _write_key(cls.material, "signing", rsa.generate_private_key(65537, 2048))
        _write_certificates(cls.material)
        cls.material.file("jwks.json").write_text('{"keys": []}')

    def setting(self, routes: int = 1, issuers: int = 1) -> Setting:
        return Setting(1, 2, 3, 4, 5, 6, 7, 1, routes, issuers, self.material, self.material.directory)


class Commands(Prepared):
    def test_every_target_renders_its_configuration_whole(self):
        with patch("harness.places.program", lambda name: name):
            for target in TARGETS:
                if not isinstance(target, Direct):
                    with self.subTest(target.name):
                        words = target.command(self.setting())
                        self.assertNotRegex(" ".join(words), r"[{}]")

    def test_every_route_is_a_rule_of_ours(self):
        write_manifests(self.material.directory / "manifests", self.setting(routes=250))
        items = json.loads((self.material.directory / "manifests" / "endpoints.json").read_text())["items"]
        paths = [rule["path"] for item in items for rule in item["spec"]["rules"] if rule["path"].startswith("/routes/")]
        self.assertEqual(len(set(paths)), 250)
        self.assertTrue(all(len(item["spec"]["rules"]) <= 128 for item in items))

    def test_every_issuer_has_a_host_and_keys_of_its_own(self):
        directory = self.material.directory / "manifests"
        write_manifests(directory, self.setting(issuers=100))
        items = json.loads((directory / "endpoints.json").read_text())["items"]
        found = [(item["spec"]["hosts"][0], item["spec"]["auth0"]["jwksUrl"]) for item in items if "?issuer=" in item["spec"]["auth0"]["jwksUrl"]]
        self.assertEqual((len(found), len({host for host, _ in found}), len({url for _, url in found})), (100, 100, 100))
        served = {item["metadata"]["namespace"] for item in json.loads((directory / "backends.json").read_text())["items"]}
        self.assertEqual({item["metadata"]["namespace"] for item in items}, served)


class Scenarios(unittest.TestCase):
    def test_names_are_unique(self):
        for things in (SCENARIOS, TARGETS):
            names = [thing.name for thing in things]
            self.assertEqual(len(names), len(set(names)))

    def test_the_reference_and_ours_take_part_in_every_scenario(self):
        for scenario in SCENARIOS:
            taking_part = [target.name for target in TARGETS if scenario.includes(target)]
            self.assertIn("nginx", taking_part)
            self.assertIn("portcullis", taking_part)

    def test_only_names_scenarios_that_exist(self):
        known = {scenario.name for scenario in SCENARIOS}
        for target in TARGETS:
            self.assertLessEqual(target.only or set(), known, target.name)


class Cases(Prepared):
    def test_what_no_gate_may_let_through_is_required(self):
        required = {case.name for case in cases(self.material, 1_000_000) if case.required and case.expect is Expect.REFUSE}
        self.assertLessEqual({"no token", "wrong aud", "wrong iss", "expired 1 h", "bad signature", "alg none", "HS256 with the public key"}, required)
