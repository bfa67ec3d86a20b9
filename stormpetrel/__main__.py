"""`python -m stormpetrel` runs the `stormpetrel` command."""

from __future__ import annotations

import sys

from stormpetrel.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
