"""Pure decoders of what the wires say."""
