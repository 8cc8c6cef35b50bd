"""Annotations and proposals as files, one room a format: read, checked, written.

``table`` lists the formats; ``format`` says what one is. Nothing here knows the network.
"""
