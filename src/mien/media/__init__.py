"""Where frames come from and go to: cameras, streams, videos, photos, the demo clip, and the video that is written."""
