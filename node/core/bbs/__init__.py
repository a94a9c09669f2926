"""BBS signatures over BLS12-381-SHA-256, blind signatures and pseudonyms."""
