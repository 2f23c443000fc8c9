"""The rules of the environment contract, each a small function that one environment keeps or breaks.

``catalogue.py`` lists them in order; ``rule.py`` says what a rule is, ``subject.py`` what it looks at,
``play.py`` how episodes are played and compared. Nothing here decides what a failure means for the caller;
``textgym.testing.conformance`` does.
"""
