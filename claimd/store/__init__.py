"""Where rounds and claims live: one protocol, the real store in Redis or Valkey, and a pure model as the oracle."""
