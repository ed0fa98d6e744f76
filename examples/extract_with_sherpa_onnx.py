"""Embed a list of recordings with sherpa-onnx alone, one at a time, as its own examples do.

    python examples/extract_with_sherpa_onnx.py wav.scp model.onnx embedding.txt --threads 1

`make bench-extract` holds `rtfbench extract` against it. The model has the metadata that
sherpa-onnx reads; recordings are of its sample rate, or sherpa-onnx resamples them.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sherpa_onnx
import soundfile


def entries(wav_scp: Path) -> Iterator[tuple[str, str]]:
    """Yield name and file of each line."""
    for line in wav_scp.read_text(encoding="utf-8").splitlines():
        if line.strip():
            name, path = line.split(maxsplit=1)
            yield name, path.strip()


def embed(extractor: Any, path: str) -> tuple[list[float], float, float]:
    """Return a recording's embedding, its length and what computing took, both in seconds."""
    samples, rate_hz = soundfile.read(path, dtype="float32")
    began_s = time.perf_counter()
    stream = extractor.create_stream()
    stream.accept_waveform(rate_hz, samples)
    stream.input_finished()
    embedding: list[float] = extractor.compute(stream)
    return embedding, len(samples) / rate_hz, time.perf_counter() - began_s


def main() -> None:
    """Write a line of text for each recording, and tell the RTF of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wav_scp", type=Path)
    parser.add_argument("model")
    parser.add_argument("result", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(
        model=asked.model, num_threads=asked.threads, provider="cpu"
    )
    extractor = sherpa_onnx.SpeakerEmbeddingExtractor(config)
    audio_s = took_s = 0.0
    with asked.result.open("w", encoding="utf-8") as file:
        for name, path in entries(asked.wav_scp):
            embedding, length_s, own_s = embed(extractor, path)
            file.write(f"{name} {' '.join(f'{value:.9g}' for value in embedding)}\n")
            audio_s, took_s = audio_s + length_s, took_s + own_s
    print(f"RTF: {took_s / audio_s:.5f}")


if __name__ == "__main__":
    main()
