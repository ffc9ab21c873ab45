"""Live events of rounds: who listens, and how the newest state of a round reaches all of them."""
