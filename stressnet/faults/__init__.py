"""What can be done to links and nodes, and how faults on one link combine.

Only the standard library is imported here, because the agent has these files too.
"""
