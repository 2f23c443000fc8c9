"""Environments that break one promise each, for the test of the conformance kit.

Invariant: a mutant differs from a sound environment in one behaviour; the table in ``test_mutants.py`` tells
which rules have to notice. Nothing here is sound except what ``sound.py`` defines.
"""
