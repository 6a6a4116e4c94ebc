"""`stressnet soak`: one net for a night, the timeline again and again, and a verdict on all of it."""
