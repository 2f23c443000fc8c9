"""Other systems doing the same work: one short program a system, run by its own interpreter.

``conversation`` is what all of them play and how it is measured; it needs nothing but the standard library.
``venvs`` makes the environments. Invariant: a program prints one JSON line, or fails with a message; it never prints
figures of work that was not done.
"""
