"""``python -m textgym``: the same as the command ``textgym``."""

from __future__ import annotations

import sys

from textgym.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
