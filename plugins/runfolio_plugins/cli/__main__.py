"""``python -m runfolio_plugins.cli``: the same program, for environments whose scripts are not on the path."""

from __future__ import annotations

from runfolio_plugins.cli import main

if __name__ == "__main__":
    main()
