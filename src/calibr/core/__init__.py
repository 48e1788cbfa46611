"""Money, ids, errors, text and canonical JSON. Standard library only, no I/O."""
