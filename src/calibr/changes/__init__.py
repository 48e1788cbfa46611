"""Price changes: their life, preview, seal, approval, apply and rollback."""
