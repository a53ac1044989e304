"""The page as Prometheus's own parsers read it."""

from __future__ import annotations

from prometheus_client import parser
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import parser as openmetrics

from wharfside_agent.core.figures import Histogram
from wharfside_agent.metrics.exporter import Exporter
from wharfside_agent.metrics.metric import Kind, Metric, values

Shop = dict[str, int]

SEEN = Histogram((0.1, 1.0))

METRICS: tuple[Metric[Shop], ...] = (
    Metric("shop_goods", Kind.GAUGE, "What is there.", lambda shop: shop, ("what",)),
    Metric("shop_sold_total", Kind.COUNTER, 'Sold, "as is"\\.', lambda shop: shop["nuts"] * 2),
    Metric("shop_wait_seconds", Kind.HISTOGRAM, "Waits.", lambda _: {("a", "b"): SEEN}, ("x", "y")),
)


async def page(accept: str = "") -> tuple[str, str]:
    async def source() -> Shop:
        return {"nuts": 3, 'a "bolt"\n': 0}

    content_type, text = await Exporter(METRICS, source).page(accept)
    return content_type, text.decode()


def by_name(families: list[Family]) -> dict[str, Family]:
    return {each.name: each for each in families}


async def test_each_kind_is_read_back() -> None:
    for waited in (0.1, 0.5, 7.0):
        SEEN.observe(waited)
    content_type, text = await page()
    assert content_type.startswith("text/plain; version=0.0.4")
    found = by_name(list(parser.text_string_to_metric_families(text)))
    goods = {sample.labels["what"]: sample.value for sample in found["shop_goods"].samples}
    assert goods == {"nuts": 3.0, 'a "bolt"\n': 0.0}
    assert [sample.value for sample in found["shop_sold"].samples] == [6.0]
    assert found["shop_sold"].documentation == 'Sold, "as is"\\.'
    waits = {
        (sample.name, sample.labels.get("le")): sample.value
        for sample in found["shop_wait_seconds"].samples
    }
    assert waits == {
        ("shop_wait_seconds_bucket", "0.1"): 1.0,
        ("shop_wait_seconds_bucket", "1.0"): 2.0,
        ("shop_wait_seconds_bucket", "+Inf"): 3.0,
        ("shop_wait_seconds_count", None): 3.0,
        ("shop_wait_seconds_sum", None): 7.6,
    }


async def test_the_process_itself_is_told_by_its_usual_names() -> None:
    _, text = await page()
    found = by_name(list(parser.text_string_to_metric_families(text)))
    assert found["process_open_fds"].samples[0].value > 0


async def test_a_scraper_that_wants_openmetrics_gets_it() -> None:
    content_type, text = await page("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    found = by_name(list(openmetrics.text_string_to_metric_families(text)))
    assert {"shop_goods", "shop_sold", "shop_wait_seconds"} <= set(found)


async def test_pages_share_nothing() -> None:
    assert (await page())[1].count("# TYPE shop_goods gauge") == 1
    assert (await page())[1].count("# TYPE shop_goods gauge") == 1


def test_what_was_taken_does_not_change_any_more() -> None:
    histogram = Histogram((1.0,))
    metric: Metric[None] = Metric("a", Kind.HISTOGRAM, "A.", lambda _: histogram)
    ((_labels, taken),) = values(metric, None)
    histogram.observe(0.5)
    assert isinstance(taken, Histogram) and taken.count == 0 and histogram.count == 1
