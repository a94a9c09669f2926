"""The only client sockets of the project: every connection out is opened here (FORMATS.md section 10)."""
