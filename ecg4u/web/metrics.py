"""Counters in the Prometheus text format; they count, and know nothing of anyone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

BUCKETS_S = (0.5, 1.0, 2.0, 5.0, 8.0, 15.0, 30.0, 60.0)


@dataclass
class Metrics:
    """What has happened since the service started."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """By method, route and status."""
    analyses: Counter[str] = field(default_factory=Counter)
    """By outcome: ``ok`` or the code of an error."""
    buckets: Counter[float] = field(default_factory=Counter)
    seconds_sum: float = 0.0
    seconds_count: int = 0

    def analysed(self, outcome: str, seconds: float) -> None:
        """Count one analysis and the time it took in its worker."""
        self.analyses[outcome] += 1
        self.seconds_sum += seconds
        self.seconds_count += 1
        for bound in BUCKETS_S:
            self.buckets[bound] += seconds <= bound

    def mean_seconds(self, default: float = 5.0) -> float:
        """How long an analysis takes on average."""
        return self.seconds_sum / self.seconds_count if self.seconds_count else default

    def exposition(self, gauges: dict[str, float]) -> str:
        """All counters, and ``gauges`` as they stand now, as text."""
        lines = ["# TYPE ecg4u_requests_total counter"]
        lines += [
            f'ecg4u_requests_total{{method="{method}",route="{route}",status="{status}"}} {n}'
            for (method, route, status), n in sorted(self.requests.items())
        ]
        lines.append("# TYPE ecg4u_analyses_total counter")
        lines += [
            f'ecg4u_analyses_total{{outcome="{outcome}"}} {n}'
            for outcome, n in sorted(self.analyses.items())
        ]
        lines.append("# TYPE ecg4u_analysis_seconds histogram")
        lines += [
            f'ecg4u_analysis_seconds_bucket{{le="{bound:g}"}} {self.buckets[bound]}'
            for bound in BUCKETS_S
        ]
        lines += [
            f'ecg4u_analysis_seconds_bucket{{le="+Inf"}} {self.seconds_count}',
            f"ecg4u_analysis_seconds_sum {self.seconds_sum:.3f}",
            f"ecg4u_analysis_seconds_count {self.seconds_count}",
        ]
        for name, value in gauges.items():
            lines += [f"# TYPE ecg4u_{name} gauge", f"ecg4u_{name} {value:g}"]
        return "\n".join(lines) + "\n"
