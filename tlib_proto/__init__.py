"""T-Library: constants, wire format, codec, sessions of both roles, log text; does no I/O."""
