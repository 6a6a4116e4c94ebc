"""`python -m stressnet` is the command `stressnet`."""

from stressnet.cli import main

if __name__ == "__main__":
    main()
