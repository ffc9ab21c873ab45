"""The words of claimd as plain values: rounds, claims, outcomes, times. No I/O, no clock, no imports from above."""
