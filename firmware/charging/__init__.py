"""What a charger is, without a protocol."""
