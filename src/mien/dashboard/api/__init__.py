"""The REST API: a module of routers for each part of it, and the shapes of what is asked and answered."""
