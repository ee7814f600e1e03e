"""From verdicts to documents: changes of the pages, each with its evidence; runs nothing."""
