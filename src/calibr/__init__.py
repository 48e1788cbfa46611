"""Calibr: a pricing control plane. Preview, approve, apply, verify, roll back."""
