"""`python -m steadyface` is the command `steadyface`."""

from steadyface.cli import main

main()
