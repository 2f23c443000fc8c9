"""Code-v0: write a function. The steps that it has to take are real functions, whose docstrings are the task.

``step.py`` says what a step is, ``numbers``, ``texts`` and ``words`` hold them, ``inputs`` makes what they
are tried on, ``generator`` composes them, ``feedback`` tells what failed, ``env.py`` asks and judges.
"""
