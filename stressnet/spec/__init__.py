"""What users write: topologies and kinds, read strictly from YAML into frozen models."""
