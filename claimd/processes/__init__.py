"""Processes on one machine: the data directory, the embedded server, sockets, and who watches whom."""
