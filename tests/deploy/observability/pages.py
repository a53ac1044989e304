"""The metrics listener of an agent, asked as Prometheus and a prober ask it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from tests.support.agent import AgentProcess

READY_S = 90.0
"""A node whose loop was late, as on a busy machine, says so for half a minute."""

METRICS = '\n[metrics]\nlisten = "127.0.0.1:0"\n\n[relist]\nevery_s = 0.5\n'


@dataclass(frozen=True)
class Pages:
    """`address` is host:port."""

    agent: AgentProcess
    address: str

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def json(self, path: str) -> tuple[int, dict[str, Any]]:
        status, body = self.get(path)
        return status, json.loads(body)

    def text(self) -> str:
        status, body = self.get("/metrics")
        assert status == 200, body
        return body

    def scrape(self) -> dict[str, Family]:
        """Every family under the name that queries have: with `_total`, where it has that."""
        families = text_string_to_metric_families(self.text())
        return {f"{f.name}_total" if f.type == "counter" else f.name: f for f in families}

    def value(self, name: str, **labels: str) -> float:
        """Of the one sample of that name (`..._count` of a histogram) with just these labels."""
        samples = [sample for family in self.scrape().values() for sample in family.samples]
        (found,) = [
            each.value for each in samples if each.name == name and dict(each.labels) == labels
        ]
        return float(found)


def observed(agent: AgentProcess, extra: str = METRICS) -> Pages:
    """Starts the agent with its listener on a free port."""
    agent.write_config(extra)
    agent.start(until=None)
    told = agent.wait_for_log("metrics-listening")
    return Pages(agent, f"{told['host']}:{told['port']}")
