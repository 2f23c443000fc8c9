"""QA-v0: ``env.py`` asks the rows of a file, ``scorings.py`` judges the answers, ``prompt.py`` words them.

``sample.jsonl`` holds simple general knowledge and logic, written for this package.
"""
