"""Networks that teach: larger ones, and unlike the one that ships. They are trained and compared, never exported."""
