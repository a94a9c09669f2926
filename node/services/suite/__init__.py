"""What interoperability suites of the W3C ask of an implementation, on top of what it does for everybody."""
