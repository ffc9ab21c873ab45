"""Deterministic simulation: the engine as it ships, the model of the store, and a network, a clock and a
crowd from one seed.

`python -m tests.simulation` runs it; `run.py` is one seed from beginning to end. Only virtual time passes.
"""
