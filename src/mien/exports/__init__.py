"""Time lines for other tools: what faces showed when goes in; ELAN, Praat, BIDS and BORIS files come out."""
