"""Secrets of connections, sealed with a key per tenant."""

from calibr.vault.envelope import SecretPlace, Vault

__all__ = ["SecretPlace", "Vault"]
