"""Policies: whatever answers an observation. See ``policy.py`` for the one protocol."""
