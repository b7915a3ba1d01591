"""The edge: from frames to observations that are on their way and on disk until a store has them."""
