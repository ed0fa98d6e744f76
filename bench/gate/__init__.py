"""The regression gate: a baseline that runs beside the candidate, and three answers."""
