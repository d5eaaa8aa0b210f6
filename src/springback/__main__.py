"""`python -m springback` is the command `springback`."""

import sys

from springback.cli.main import app

if __name__ == "__main__":
    sys.exit(app())
