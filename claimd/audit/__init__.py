"""Proof afterwards: counts a round from its claims and its log, trusting no counter."""
