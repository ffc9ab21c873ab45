"""`python -m claimd`: the same command line as `claimd`."""

from claimd.cli.main import app

if __name__ == "__main__":
    app(prog_name="claimd")
