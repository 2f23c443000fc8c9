"""Tasks: the registered environments, one slice each. The ids are in ``textgym/registration.py``."""
