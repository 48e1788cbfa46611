"""Fixtures of the tests of price changes."""
