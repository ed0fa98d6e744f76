"""Inference engines: features in, embeddings out; one module a runtime, each a leaf."""

import os

# From 1.29 on, onnxruntime reports to a server, with a thread of its own beside what is measured.
# It reads this once, when it is loaded, whatever loads it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
