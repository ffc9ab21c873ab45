"""`python -m loadtest.bench`: measures claimd and common ways of writing it side by side, interleaved, in one run."""
