"""claimd decides the claims of a public drop: exactly, durably, fast, and provably."""

__version__ = "0.1.0"
