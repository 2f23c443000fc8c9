"""ToolMath-v0: ``generator`` makes problems too large for the head, ``env`` asks and judges."""
