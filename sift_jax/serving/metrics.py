"""What the server counts, in the text that Prometheus reads.

# HELP sift_requests_total Requests by path and status.
# TYPE sift_requests_total counter
sift_requests_total{path="/v1/chat/completions",status="200"} 17
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
Labels = tuple[tuple[str, str], ...]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _write_labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _sort(labels: dict[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


class Value:
    """A counter, which is added to, or a gauge, which is set; one number for each set of labels."""

    def __init__(self, kind: str, name: str, what: str):
        self.kind, self.name, self.what = kind, name, what
        self._lock = threading.Lock()
        self._values: dict[Labels, float] = {}

    def add(self, amount: float, **labels: str) -> None:
        with self._lock:
            key = _sort(labels)
            self._values[key] = self._values.get(key, 0.0) + amount

    def set(self, value: float, **labels: str) -> None:
        with self._lock:
            self._values[_sort(labels)] = value

    def list_samples(self) -> Iterator[str]:
        with self._lock:
            values = dict(self._values)
        for labels, value in values.items():
            yield f"{self.name}{_write_labels(labels)} {value:g}"


class Histogram:
    """How often something took so many seconds at most."""

    kind = "histogram"

    def __init__(self, name: str, what: str, bounds: Sequence[float] = _SECONDS):
        self.name, self.what, self._bounds = name, what, tuple(bounds)
        self._lock = threading.Lock()
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, seconds: float, **labels: str) -> None:
        with self._lock:
            key = _sort(labels)
            counts = self._counts.setdefault(key, [0] * (len(self._bounds) + 1))
            place = sum(seconds > bound for bound in self._bounds)
            counts[place] += 1
            self._sums[key] = self._sums.get(key, 0.0) + seconds

    def list_samples(self) -> Iterator[str]:
        with self._lock:
            found = [(key, list(counts), self._sums[key]) for key, counts in self._counts.items()]
        for labels, counts, total in found:
            so_far = 0
            for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
                so_far += count
                edge = "+Inf" if bound == float("inf") else f"{bound:g}"
                yield f"{self.name}_bucket{_write_labels((*labels, ('le', edge)))} {so_far}"
            yield f"{self.name}_sum{_write_labels(labels)} {total:g}"
            yield f"{self.name}_count{_write_labels(labels)} {so_far}"


class Metrics:
    """All of them."""

    def __init__(self) -> None:
        self.requests = Value("counter", "sift_requests_total", "Requests by path and status.")
        self.request_seconds = Histogram("sift_request_seconds", "Whole requests, by path.")
        self.first_seconds = Histogram(
            "sift_first_token_seconds", "From a request to the first token of its answer."
        )
        self.step_seconds = Histogram("sift_step_seconds", "A token for every slot.")
        self.tokens = Value("counter", "sift_tokens_total", "Tokens of answers.")
        self.fed = Value(
            "counter", "sift_prompt_positions_total", "Positions of prompts, computed."
        )
        self.reused = Value(
            "counter", "sift_reused_positions_total", "Positions of prompts that were there before."
        )
        self.cancelled = Value(
            "counter", "sift_cancelled_total", "Answers that nobody waited for any more."
        )
        self.failures = Value("counter", "sift_failures_total", "Turns that failed.")
        self.not_finite = Value(
            "counter", "sift_not_finite_total", "Answers broken off at NaN or infinite numbers."
        )
        self.running = Value("gauge", "sift_running", "Answers that are being written.")
        self.waiting = Value("gauge", "sift_waiting", "Prompts that wait for a slot.")
        self.kept_bytes = Value("gauge", "sift_kept_prefix_bytes", "Prefixes that are kept.")

    def write(self) -> str:
        """The page that is scraped."""
        lines: list[str] = []
        for metric in vars(self).values():
            lines += [f"# HELP {metric.name} {metric.what}", f"# TYPE {metric.name} {metric.kind}"]
            lines += metric.list_samples()
        return "\n".join(lines) + "\n"
