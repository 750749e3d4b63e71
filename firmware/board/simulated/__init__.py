"""The simulated board: a car, a contactor, a lock, a meter, the mains."""
