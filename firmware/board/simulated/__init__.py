"""The simulated board, and the world around it."""
