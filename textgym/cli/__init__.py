"""The command line, one file a command: ``list``, ``show``, ``play``, ``eval``, ``export`` and the others.

Read ``main.py`` first, then ``exits.py`` for what the exit codes mean; ``eval.py`` and ``rollout.py`` share
``arguments.py`` (flags), ``config_file.py`` (TOML), ``settings.py`` (both together), ``job.py`` (the run
itself) and ``outcome.py`` (what is said about it); ``play.py`` shows an episode through ``narration.py``.
Invariants: standard output carries the result and nothing else; every wrong input is one line on standard
error; this package is the top floor, and nothing imports it.
"""
