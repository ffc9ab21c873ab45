"""`python -m loadtest.overload`: measures grants and rejections when more is offered than claimd can decide."""
