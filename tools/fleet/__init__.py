"""A fleet: many of these stations at once, against a central system (docs/fleet.md)."""
