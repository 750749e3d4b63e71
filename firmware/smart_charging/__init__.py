"""Charging profiles: what is installed, what it allows now, and who moves the limit."""
