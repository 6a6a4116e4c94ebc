"""What is asked of a record, and the statistics by which its figures are told from noise."""
