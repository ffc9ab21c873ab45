"""The public side. Handlers decode, call and encode; what is decided, is decided in the engine."""
