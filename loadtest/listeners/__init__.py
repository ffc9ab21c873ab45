"""What listeners to live events cost the claims beside them."""
