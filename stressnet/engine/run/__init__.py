"""One execution of a fault plan, a file for each stage: load, up, settle, timeline, observe, collect, check, down."""
