"""Making the images that nets run from, on machines with an image registry and on those without."""
