"""Math-v0: a file for each family of problems, ``generator.py`` collects them, ``env.py`` asks and judges.

The families: ``arithmetic``, ``stories`` and ``relations`` (word problems), ``algebra``, ``number_theory``,
``geometry``, ``probability``. ``problem.py`` holds what they share.
"""
