"""Math-v0: ``generator.py`` makes the problems, ``env.py`` asks and judges them."""
