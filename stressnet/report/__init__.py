"""What people read after a run: a page says what is shown, and `html` writes it as one file without network."""
