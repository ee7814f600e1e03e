"""Find out, by experiment, whether a compatibility document tells the truth.

The flow, and the order in which packages may import each other::

    documents -> claims -> plan -> cells -> observations -> verdicts -> reports
"""
