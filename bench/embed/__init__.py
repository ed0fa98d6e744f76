"""From recordings to embeddings: sources, the chunking driver, parity, and scores."""
