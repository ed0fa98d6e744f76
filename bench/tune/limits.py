"""What a configuration has to keep, whatever its speed."""

from dataclasses import dataclass

from bench.measure.job import Job
from bench.results.stats import quantile
from bench.results.store import CellData

BYTES_PER_MB = 1e6
NS_PER_MS = 1e6


@dataclass(frozen=True)
class Limits:
    """What a configuration has to keep; None where it is free.

    `latency_ms` is for 95 of 100 recordings, `rss_mb` for all of a configuration's processes.
    """

    latency_ms: float | None = None
    rss_mb: float | None = None

    def broken(self, job: Job) -> str:
        """Say which limit a job breaks, nothing where it keeps all of them."""
        latency_ms, rss_mb = p95_ms(job.data), memory_mb(job)
        if self.latency_ms is not None and latency_ms is not None and latency_ms > self.latency_ms:
            return f"p95 of {latency_ms:.0f} ms, over {self.latency_ms:g}"
        if self.rss_mb is not None and rss_mb is not None and rss_mb > self.rss_mb:
            return f"{rss_mb:.0f} MB, over {self.rss_mb:g}"
        return ""

    @property
    def of_one_process(self) -> "Limits":
        """What no sharing of the cores makes up for, as more threads do for a latency."""
        return Limits(rss_mb=self.rss_mb)


def p95_ms(data: CellData) -> float | None:
    """Return what 95 of 100 recordings stay under in a configuration, None where none ran."""
    times_ns = [
        ns for record in data.records for ns in record.utterance_ns or (record.processing_ns,)
    ]
    found = quantile(times_ns, 0.95)
    return None if found is None else found / NS_PER_MS


def memory_mb(job: Job) -> float | None:
    """Return what a configuration's processes hold after all recordings once, together."""
    size = job.ready.steady_rss_bytes if job.ready else None
    return None if size is None else size / BYTES_PER_MB


def times_real_time(data: CellData) -> float | None:
    """Return the seconds of audio that a second embeds, None where nothing ran."""
    taken_ns = sum(record.processing_ns for record in data.records)
    return sum(record.audio_ns for record in data.records) / taken_ns if taken_ns else None
