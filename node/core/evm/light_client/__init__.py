"""The light client of Ethereum's consensus layer: which execution block a sync committee has made final."""
