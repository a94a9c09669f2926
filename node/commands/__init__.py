"""The sub-commands of `bonafides`: thin, one module each, found through the entry points of the package."""
