"""Results made by hand, so that every figure of a report is known beforehand."""

from typing import Any

from rtfbench.results.cells import Cell, Parity
from rtfbench.results.host import Environment
from rtfbench.results.lines import Declaration, Outcome
from rtfbench.results.records import Record
from rtfbench.results.rows import CellSummary, Noise, Ratio, Summary
from rtfbench.results.store import CellData

AUDIO_S = 10.0
UTTERANCES = ("first", "second")


def row(**changes: Any) -> CellSummary:
    """Return a measured row; what is not named is that of a plausible one."""
    fields: dict[str, Any] = {
        "model": "resnet34",
        "title": "ResNet-34",
        "engine": "mnn",
        "settings": {},
        "form": "dynamic",
        "threads": 1,
        "chunk_samples": 32000,
        "protocol": "steady",
        "status": "ok",
        "reason": "",
        "version": "1.0",
        "build": "",
        "note": "",
        "params": 6_634_336,
        "flops": 4_559_902_720,
        "macs": 4_511_000_000,
        "artifact_bytes": 1,
        "passes": 10,
        "rtf": 0.02,
        "rtf_ci95": (0.019, 0.021),
        "rtf_padded": 0.016,
        "rtf_frontend": 0.001,
        "rtf_engine": 0.018,
        "load_ms": 20.0,
        "first_chunk_ms": 50.0,
        "chunk_ms": 40.0,
        "cpu_per_wall": 1.0,
        "peak_rss_mb": 200.0,
        "parity": Parity(cosine=1.0, max_rel_err=1e-6, ok=True),
        "effective": {},
    }
    return CellSummary(**fields | changes)


def failed(**changes: Any) -> CellSummary:
    """Return a row whose embedding is not the reference's."""
    times = ["rtf", "rtf_ci95", "rtf_padded", "rtf_frontend", "rtf_engine", "load_ms"]
    times += ["first_chunk_ms", "chunk_ms", "cpu_per_wall", "peak_rss_mb"]
    nothing: dict[str, Any] = dict.fromkeys(times)
    wrong = {"status": "wrong_output", "reason": "off", "passes": 0}
    parity = Parity(cosine=0.9, max_rel_err=2e-3, ok=False)
    return row(**nothing | wrong | {"parity": parity} | changes)


def ratio(**changes: Any) -> Ratio:
    """Return the ratio of mnn to onnxruntime in a setting, as if it were its run's only one."""
    fields: dict[str, Any] = {
        "model": "resnet34",
        "threads": 1,
        "chunk_samples": 32000,
        "protocol": "steady",
        "engine": "mnn",
        "form": "dynamic",
        "reference": "onnxruntime",
        "reference_form": "dynamic",
        "ratio": 0.5,
        "ci95": (0.49, 0.51),
        "blocks": 8,
        "sessions": 2,
        "decided": True,
    }
    found = fields | changes
    return Ratio(**{"together": found["ci95"]} | found)


def summary(
    *cells: CellSummary, ratios: tuple[Ratio, ...] = (), noise: Noise | None = None
) -> Summary:
    """Return a result of these rows, of two utterances that last ten seconds together."""
    environment = Environment(
        rtfbench="0.1.0",
        started_utc="2026-01-02T03:04:05+00:00",
        cpu="Test CPU",
        cores=2,
        usable_cores=2,
        memory_bytes=8 * 10**9,
        os="Linux 6",
        python="3.11.7",
        packages={"numpy": "2.4.6"},
        load_average_1min=0.0,
        audio=UTTERANCES,
        audio_s=AUDIO_S,
    )
    return Summary(schema=1, environment=environment, cells=cells, ratios=ratios, noise=noise)


def published_and_steady() -> Summary:
    """Return the case that the project began with: mnn and mnn-mini under both protocols.

    Under the published protocol the dynamic model loses 310 ms a session: 0.062 of RTF.
    """
    cells, ratios = [], []
    for protocol, rtf, first_ms in (("published", 0.102, 350.0), ("steady", 0.04, 350.0)):
        cells += [
            row(engine="onnxruntime", protocol=protocol, rtf=0.08, rtf_ci95=(0.079, 0.081)),
            row(protocol=protocol, rtf=rtf, first_chunk_ms=first_ms, rtf_ci95=(rtf, rtf * 1.01),
                effective={"first_run": "weight preparation"}),
            row(engine="mnn-mini", form="static", protocol=protocol, rtf=0.04,
                rtf_ci95=(0.0395, 0.0405), load_ms=300.0),
        ]  # fmt: skip
        ratios += [
            ratio(protocol=protocol, ratio=rtf / 0.08, ci95=(rtf / 0.081, rtf / 0.079)),
            ratio(protocol=protocol, engine="mnn-mini", form="static"),
        ]
    return summary(*cells, ratios=tuple(ratios))


def curve(*sizes: int) -> Summary:
    """Return three engines at several chunk sizes; mnn is the fastest at each."""
    cells, ratios = [], []
    for size in sizes:
        for engine, rtf in (("onnxruntime", 0.08), ("mnn", 0.04), ("other", 0.06)):
            cells.append(
                row(engine=engine, chunk_samples=size, rtf=rtf, rtf_ci95=(rtf / 1.02, rtf * 1.02))
            )
            if engine != "onnxruntime":
                middle = rtf / 0.08
                ratios.append(
                    ratio(engine=engine, chunk_samples=size, ratio=middle,
                          ci95=(middle / 1.01, middle * 1.01))
                )  # fmt: skip
    return summary(*cells, ratios=tuple(ratios))


def measured(
    *processing_ms: int, engine: str = "mnn", status: str = "ok", utterances: int = 2
) -> CellData:
    """Return a cell's lines: a pass of five-second utterances for each time."""
    cell = Cell(
        model="resnet34",
        engine=engine,
        form="dynamic",
        threads=1,
        chunk_samples=32000,
        protocol="steady",
    )
    data = CellData(Declaration(cell_id=f"id-{engine}", cell=cell, title="ResNet-34"))
    for position, each in enumerate(processing_ms):
        for name in UTTERANCES[:utterances]:
            ns = each * 10**6
            data.records.append(
                Record(
                    cell_id=f"id-{engine}", session=0, block=0, position=position, utterance=name,
                    audio_ns=5 * 10**9, padded_audio_ns=6 * 10**9, load_ns=10, first_chunk_ns=20,
                    frontend_ns=30, engine_ns=40, processing_ns=ns, chunk_ns=(20, 20, 20),
                    cpu_ns=ns, peak_rss_bytes=1000,
                )
            )  # fmt: skip
    data.outcome = Outcome.model_validate({"cell_id": f"id-{engine}", "status": status})
    return data
