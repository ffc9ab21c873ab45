"""Who is asking: bearer tokens, passes, eligibility. A person's identifier ends here: below, there are only digests."""
