"""Readings of rounds that all requests of a process share, and the documents made from them."""
