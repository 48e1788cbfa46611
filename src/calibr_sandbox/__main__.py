"""`python -m calibr_sandbox` and the `calibr-sandbox` command."""

from calibr_sandbox.cli import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
