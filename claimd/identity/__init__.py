"""Who is asking: bearer tokens of the identity provider, passes, eligibility. A person's identifier ends here: below, only digests."""
