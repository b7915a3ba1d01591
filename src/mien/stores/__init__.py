"""Where observations are kept and asked for: one protocol, several databases."""
