"""Fault plans: what is done to a net and when, what is asked of it afterwards, and in which variants."""
