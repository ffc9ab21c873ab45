"""Counts: plain numbers in each gateway, merged over all gateways, and shown in the format of Prometheus."""
