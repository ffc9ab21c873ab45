"""What claimd is measured against: the usual ways of writing it, and the floor under any way of it in Python."""
