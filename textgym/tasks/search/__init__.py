"""Search-v0: ``world`` makes facts, ``articles`` writes them down, ``questions`` asks, ``env`` judges."""
