"""A stand-in for the Shopify Admin GraphQL API over real HTTP, for demonstrations and tests.

It keeps its own state, knows nothing of the program under test and imports nothing from it.
"""
