"""What everything stands on: the runtime, clock, storage, log."""
