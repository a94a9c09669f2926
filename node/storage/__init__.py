"""The node's database: what must survive a crash, in the words of the domain.

Services speak to the protocols of `base`; `database` opens SQLite or PostgreSQL behind them.
"""
