"""rtfbench: measure inference engines on speaker-embedding models."""
