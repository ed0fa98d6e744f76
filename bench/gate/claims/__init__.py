"""Published tables as data: measured again, and judged."""
