"""What the documents get wrong, without running anything: pure functions over claims and index.

`finding` has the words of an answer, `documents` compares documents with each other, `index_*`
compares them with the package index.
"""
