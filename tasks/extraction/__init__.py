"""From a completion to the programs in it."""
