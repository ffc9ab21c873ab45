"""The programs that claimd is compared with: common ways of writing it, and the floor of any Python gateway."""
