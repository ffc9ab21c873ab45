"""Injects faults into a running claimd under load, and has the history checker judge the clients' answers."""
