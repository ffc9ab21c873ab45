"""Authentication: bearer tokens, passes, eligibility. No other package sees a person's identifier, only its digest."""
