"""The values that all of claimd shares: rounds, claims, outcomes, times. No I/O, no clock, no imports from above."""
