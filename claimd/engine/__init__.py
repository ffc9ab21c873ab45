"""Decides claims many at a time: keeps what arrives while a call is in flight and sends it as the next call."""
