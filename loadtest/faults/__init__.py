"""Breaks a running claimd in every way, under load, and has the history checker judge what people were told."""
