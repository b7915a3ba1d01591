"""The version, which everything else may ask for."""

__all__ = ["__version__"]

__version__ = "0.1.0"
