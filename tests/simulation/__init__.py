"""Deterministic simulation: the production engine on the model of the store, with a network, a clock and clients from
one seed.

`python -m tests.simulation` runs it; `run.py` runs one seed. Time is virtual.
"""
