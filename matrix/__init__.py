"""Find out, by experiment, whether a compatibility document tells the truth.

The packages, in reading order; each imports only from those before it::

    model system documents interpreters pypi docker services agent probes planning environments
    cells judging runs reporting distributed features cli
"""
