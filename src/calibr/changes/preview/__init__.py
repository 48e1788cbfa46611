"""Computing a plan: items, summary and seal. Nothing is written to a store."""
