"""Decoders of the signals on the wires: functions from values to values."""
