"""What it costs to verify a bearer token: claimd beside libraries and beside the bare signature."""
