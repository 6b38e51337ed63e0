"""`python -m p2pnet`, the same as the `p2pnet` command."""

from p2pnet.cli import main

if __name__ == "__main__":
    main()
