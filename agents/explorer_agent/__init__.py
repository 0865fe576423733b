"""The far side of explorer: runs on the board, Python 3.8 or newer, no dependencies. See ``agents/README.md``."""
