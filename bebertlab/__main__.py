"""`python -m bebertlab`."""

from __future__ import annotations

from bebertlab.cli.main import main

if __name__ == "__main__":
    main(prog_name="bebertlab")
