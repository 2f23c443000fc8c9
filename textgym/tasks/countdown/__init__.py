"""Countdown-v0: ``generator.py`` makes instances, ``expression.py`` reads answers, ``env.py`` judges them."""
