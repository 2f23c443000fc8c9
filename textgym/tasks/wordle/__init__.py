"""Wordle-v0: ``feedback.py`` compares words, ``words.py`` holds the list, ``env.py`` plays the game."""
