"""Networks that teach: larger ones, and unlike the one that ships. They are trained and compared, never exported.

What they say of labels is here too.
"""
