"""Transcripts of every form that people have: a file goes in, utterances with times and speakers come out."""

from mien.reports.base.transcripts.read import read_captions, read_transcript
from mien.reports.base.transcripts.utterances import Transcript, Utterance

__all__ = ["Transcript", "Utterance", "read_captions", "read_transcript"]
