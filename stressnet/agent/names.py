"""What lists of processes call ours (at most 15 bytes); all have the same words on their command lines.

A name is taken on by the process itself, and inherited until an exec: a node that is just being started is
process 1 of a namespace, as a world is, but not of this name.
"""

WORLD = "stressnet-world"
AGENT = "stressnet-agent"
LAUNCHER = "stressnet-start"
