"""Figures for Prometheus: families of metrics go in, its text format comes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

__all__ = ["CONTENT_TYPE", "Kind", "Sample", "exposition"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

Kind = Literal["counter", "gauge"]
Sample = tuple[str, dict[str, str], float]
"""A metric's name, the values of its labels by name, and its value."""


def exposition(metrics: Mapping[str, tuple[Kind, str]], samples: Iterable[Sample]) -> bytes:
    """Return samples in Prometheus' text format.

    Args:
        metrics: The kind of each metric and what it says, by its name, in the order in which they are to come.
        samples: Values of them; a metric without any is described all the same.
    """
    families: dict[str, Metric] = {
        name: (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(name, text)
        for name, (kind, text) in metrics.items()
    }
    for name, labels, value in samples:
        families[name].add_sample(name, labels, float(value))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families.values()))
    return generate_latest(registry)


class _Families:
    """What a registry asks for its metrics."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families
