"""Documents to claims. `matrix.reading.document` reads; `matrix.reading.facts` loads and dumps.

Nothing is imported here: loading the committed facts must not pay for the Markdown parser.
"""
