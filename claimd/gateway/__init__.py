"""The public side. Handlers decode requests, call the engine or the store, and encode answers."""
