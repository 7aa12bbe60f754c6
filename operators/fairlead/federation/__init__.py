"""Counts across centres: each centre answers under its own policy, and the answers do not leak."""
