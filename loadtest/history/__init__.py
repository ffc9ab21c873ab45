"""The history checker: what everybody was told, the export and the log of one round must fit together."""
