"""The node's database: what must survive a crash, in the words of the domain.

Services speak to `protocols`; `database` opens SQLite or PostgreSQL behind them.
"""
