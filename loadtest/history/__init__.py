"""The history checker: compares the clients' answers, the export and the log of one round, and counts violations."""
