"""The central system's calls, one module a feature."""
