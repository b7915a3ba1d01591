"""What pages and routers ask of the store and the broker."""
