"""What services ask of the database: protocols and records in domain terms, no rows, no SQL.

Each module holds what is asked of the tables that bear its name beside this package; `store` is the whole.

Rules for every implementation, held by one behavioural test class:

- A writing transaction sees no other writer between its first statement and its end, so reading and then
  writing is safe. It is kept whole or not at all, and on the disk when the `async with` ends without an
  error.
- Secrets (pre-authorized codes, tx_codes, tokens, nonces, response codes) arrive as 32-byte hashes.
- Times are aware; what comes back is UTC. Blocks, nonces and indexes are integers, zero-based.
- What is already recorded and asked again is not an error; what contradicts it is a Conflict.
"""
