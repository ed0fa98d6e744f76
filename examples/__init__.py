"""Whole examples: an engine of a plug-in, a notebook, and how the trained weights were made."""
