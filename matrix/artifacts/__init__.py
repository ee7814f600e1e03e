"""What is inside the files of the index: mechanism only, and nothing here is ever run."""
