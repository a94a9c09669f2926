"""The pure core: bytes and values in, values or errors out.

Nothing here opens a socket or a file, reads a clock, draws randomness or waits: those arrive as arguments.
"""
