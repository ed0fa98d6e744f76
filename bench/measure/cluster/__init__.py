"""Whole comparisons on many hosts, one a host at a time."""
