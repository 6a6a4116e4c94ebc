"""What a live net leaves behind: figures over time, in a file that can be copied and read anywhere."""
