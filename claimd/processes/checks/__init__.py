"""What a server must promise before claimd runs on it: one file a question, each answering with plain lines."""
