"""`python -m calibr_sandbox` and the `calibr-sandbox` command."""

import sys

from calibr_sandbox.cli import run


def main() -> None:
    """Run the command line and end the process with its status."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
