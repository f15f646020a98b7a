"""`python -m arbees_feed` is the command `arbees-feed`."""

from arbees_feed.cli import main

if __name__ == "__main__":
    main()
