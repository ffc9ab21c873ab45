"""`python -m loadtest.overload`: what becomes of the grants when five times as many ask as can be served."""
