"""Counts that the workers of a service share."""
