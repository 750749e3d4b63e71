"""The hardware seam: one module a board."""
