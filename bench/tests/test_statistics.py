"""Medians, intervals, ratios and verdicts."""
import unittest

from harness.goals import verdict
from harness.statistics import Estimate, Table, coverage, estimate


def sample(number: int, target: str, **metrics) -> dict:
    return {"round": number, "scenario": "plain", "step": "", "target": target, **metrics}


class Intervals(unittest.TestCase):
    def test_nine_rounds_give_the_second_from_either_end(self):
        self.assertEqual(estimate([5, 1, 9, 3, 7, 2, 8, 4, 6]), Estimate(5, 1, 9, 9, (2, 8)))

    def test_fewer_than_six_rounds_give_none(self):
        self.assertIsNone(estimate([1, 2, 3, 4, 5]).interval)
        self.assertEqual(estimate([1, 2, 3, 4, 5, 6]).interval, (1, 6))

    def test_coverage_is_that_of_the_binomial_distribution(self):
        self.assertAlmostEqual(coverage(9, 2), 0.9609, 4)
        self.assertAlmostEqual(coverage(9, 3), 0.8203, 4)

    def test_nothing_has_no_estimate(self):
        self.assertIsNone(estimate([]))


class Ratios(unittest.TestCase):
    def test_they_are_taken_within_a_round(self):
        samples = [sample(1, "a", rps=20), sample(1, "b", rps=10), sample(2, "a", rps=300), sample(2, "b", rps=100)]
        found = Table(samples).ratio("plain", "", "a", "b", "rps")
        self.assertEqual((found.median, found.low, found.high), (2.5, 2, 3))

    def test_a_round_that_one_of_them_lacks_does_not_count(self):
        samples = [sample(1, "a", rps=20), sample(1, "b", rps=10), sample(2, "a", rps=300)]
        self.assertEqual(Table(samples).ratio("plain", "", "a", "b", "rps").rounds, 1)


class Verdicts(unittest.TestCase):
    def test_the_whole_interval_decides(self):
        rows = [
            ("above", (1.1, 1.3), "met"),
            ("at the bound", (1.0, 1.3), "met"),
            ("around", (0.9, 1.3), "open"),
            ("below", (0.7, 0.9), "missed"),
        ]
        for name, interval, want in rows:
            with self.subTest(name):
                self.assertTrue(verdict(Estimate(1, 0, 2, 9, interval), at_least=1).startswith(want))

    def test_at_most_is_the_other_way_round(self):
        self.assertEqual(verdict(Estimate(1, 0, 2, 9, (0.8, 1.0)), at_most=1), "met")
        self.assertEqual(verdict(Estimate(1, 0, 2, 9, (1.1, 1.2)), at_most=1), "missed")

    def test_few_rounds_are_not_judged(self):
        self.assertIn("not judged", verdict(Estimate(5, 5, 5, 8, (5, 5)), at_least=1))
