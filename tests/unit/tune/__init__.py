"""Tests of the race for the fastest configuration."""
