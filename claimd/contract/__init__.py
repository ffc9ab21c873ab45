"""What clients may rely on: error codes, request and response models, routes. `docs/api.md` is generated from it."""
