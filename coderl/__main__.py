"""`python -m coderl`, also under torchrun."""

from coderl.cli import main

main()
