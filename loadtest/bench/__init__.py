"""`python -m loadtest.bench`: claimd and the usual ways of writing it, side by side, interleaved, in one run."""
