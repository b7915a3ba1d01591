"""Emotion models on this machine: what they answer, where they come from, and how right they are."""
