"""Keeps the interop tests out of a plain `pytest tests`: they need other people's systems.

`tests/interop/run` installs those, sets `TEXTGYM_INTEROP=1` and so lets them be collected.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if os.environ.get("TEXTGYM_INTEROP") != "1":
    # All Python files, not only tests: doctest collection would import the helpers as well.
    collect_ignore_glob = ["*.py"]

# The tests import their neighbours by bare name, under whatever import mode pytest runs.
sys.path.insert(0, str(Path(__file__).parent))
