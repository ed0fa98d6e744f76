"""Weights that know speakers: one command trains a model of the zoo on synthetic voices."""
