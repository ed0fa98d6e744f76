"""Which utterances, engines, forms and chunk sizes are compared with WeSpeaker's C++ runtime."""

from pathlib import Path

from rtfbench.engines.protocol import Form

GOLDEN = Path(__file__).parent
WAVS = sorted((GOLDEN / "wav").glob("*.wav"))
FRAMES = {32000: 198, 80000: 498}
# The whole utterance takes a dynamic model.
FORMS: dict[str, tuple[Form, ...]] = {
    "onnxruntime": ("dynamic", "static"),
    "mnn": ("dynamic", "static"),
    "mnn-mini": ("static",),
}
CASES: list[tuple[str, Form, int]] = [
    (engine, form, chunk_samples)
    for engine, forms in FORMS.items()
    for form in forms
    for chunk_samples in (32000, 80000, -1)
    if form == "dynamic" or chunk_samples > 0
]
# A command uses the same driver: each engine, form and chunk size once.
COMMAND_CASES: list[tuple[str, Form, int]] = [
    ("onnxruntime", "dynamic", -1),
    ("mnn", "static", 32000),
    ("mnn-mini", "static", 80000),
]
