"""What is printed, and above all what is not."""
import unittest

from harness import report
from harness.results import Results, merge

METRICS = {"rps": 1000.0, "cpu_us": 10.0, "p50": 500.0, "p99": 2000.0, "rss": 2e7, "rss_idle": 1e7, "target_busy": 1.0, "client_busy": 0.5}


def target(fatal=()) -> dict:
    return {"version": "1.0", "remark": "", "checks_tokens": True, "statuses": {"good": 200}, "problems": {}, "fatal": list(fatal), "upstream_sees": []}


def sample(name: str, number: int = 1, errors=(), **metrics) -> dict:
    key = {"round": number, "scenario": "tokens-hot", "step": "", "target": name, "noisy": False, "errors": list(errors)}
    return {**key, **METRICS, **metrics}


def results(samples, **targets) -> Results:
    about = {"date": "a day", "machine": {"cpu": "a CPU", "cores": "2", "kernel": "6"}, "seconds": 4, "scenarios": ["tokens-hot"]}
    return Results(about, {"portcullis": target(), "nginx": target(), **targets}, samples)


class Refusals(unittest.TestCase):
    def test_a_failed_functional_case_withholds_every_figure_of_that_target(self):
        found = results([sample("portcullis", rps=123456), sample("nginx")], portcullis=target(["wrong aud: 200"]))
        text = report.markdown(found)
        self.assertNotIn("123,456", text)
        self.assertIn("- portcullis: wrong aud: 200", text)
        self.assertNotIn("portcullis", report.chart(found))
        self.assertTrue(report.withholds_ours(found))

    def test_one_bad_answer_in_one_round_withholds_the_scenario_of_that_target(self):
        samples = [sample("portcullis", 1, rps=123456), sample("portcullis", 2, ["1 answers of 9 were not 200"], rps=123456), sample("nginx", 1), sample("nginx", 2)]
        text = report.markdown(results(samples))
        self.assertNotIn("123,456", text)
        self.assertIn("- portcullis in tokens-hot: 1 answers of 9 were not 200", text)

    def test_a_target_that_could_not_be_measured_is_named(self):
        found = results([sample("nginx")])
        found.failures.append({"round": 1, "scenario": "tokens-hot", "target": "portcullis", "error": "port 1 is taken"})
        self.assertIn("- portcullis in tokens-hot, round 1: port 1 is taken", report.markdown(found))
        self.assertTrue(report.withholds_ours(found))

    def test_few_rounds_say_so_and_judge_nothing(self):
        text = report.markdown(results([sample("portcullis"), sample("nginx")]))
        self.assertIn("Too few to judge", text)
        self.assertIn("not judged", text)


class Figures(unittest.TestCase):
    def test_nine_good_rounds_are_judged_with_interval(self):
        samples = [s for number in range(1, 10) for s in (sample("portcullis", number, cpu_us=8.0), sample("nginx", number))]
        text = report.markdown(results(samples), "chart.svg")
        self.assertIn("| hot token | ≥ 1 × nginx | 1.25 [1.25–1.25] | 1.00 [1.00–1.00] | met |", text)
        self.assertIn("(chart.svg)", text)
        self.assertFalse(report.withholds_ours(results(samples)))

    def test_the_chart_is_well_formed(self):
        from xml.etree import ElementTree

        chart = report.chart(results([sample("portcullis"), sample("nginx")]))
        self.assertIn("tokens-hot: portcullis", "".join(ElementTree.fromstring(chart).itertext()))

    def test_merged_runs_number_their_rounds_on(self):
        parts = [results([sample("portcullis", 1), sample("portcullis", 2)]), results([sample("portcullis", 1)])]
        self.assertEqual([s["round"] for s in merge(parts).samples], [1, 2, 3])

    def test_runs_of_different_versions_are_not_merged(self):
        other = results([], portcullis={**target(), "version": "2.0"})
        with self.assertRaisesRegex(ValueError, "1.0 and 2.0"):
            merge([results([]), other])
