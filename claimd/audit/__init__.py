"""The audit of a round: recounts its claims and its log and compares both with the counter."""
