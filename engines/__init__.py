"""Inference engines: features in, embeddings out; one module a runtime, each a leaf."""
