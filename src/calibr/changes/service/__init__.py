"""What people can do with a price change. Each command is one transaction with its event."""
