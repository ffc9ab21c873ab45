"""The composition root: the only package that knows all parts of a role and puts them together from the settings."""
