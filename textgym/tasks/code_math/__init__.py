"""CodeMath-v0: a file for each family of problems, ``generator.py`` collects them, ``env.py`` asks and judges.

The families: ``counting`` (divisibility, digits, primes, points), ``sums``, ``simulations``, ``tables`` (what
dynamic programming counts). ``problem.py`` holds what they share.
"""
