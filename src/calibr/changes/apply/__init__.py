"""Writing an approved plan to its stores, item by item, so that no crash loses or repeats a write."""
