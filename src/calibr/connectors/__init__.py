"""Links to remote stores: the port that features know, and one package per vendor."""
