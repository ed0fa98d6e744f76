"""Models by name or by file, on which engines: checked, and made ready before a run."""
