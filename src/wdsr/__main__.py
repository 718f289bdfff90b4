"""`python -m wdsr`."""

from wdsr.cli import main

main()
