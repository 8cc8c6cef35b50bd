"""Annotations and proposals as files, one room a format: read, checked, written.

``table`` lists the formats; ``format`` says what one is. ``sources`` finds the images that
paths name; ``plan`` says what is written of them, and where; ``ledger`` keeps notes of it in the
output folder. Nothing here knows the network.
"""
