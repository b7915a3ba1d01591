"""`python -m mien` is `mien`."""

from mien.cli.app import main

main()
