"""The web page and REST API over a store, live through the broker; works without the internet."""
