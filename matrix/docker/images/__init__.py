"""Images for cells: where they come from, how they are built and inspected."""
