"""Puts ``containment`` on the path: its table also runs as a script, as another user, without pytest."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
