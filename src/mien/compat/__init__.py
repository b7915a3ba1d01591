"""The shapes of other libraries: changing one import moves their users over (docs/guide/moving-over.md)."""
