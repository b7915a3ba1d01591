"""Work that goes on while pages come and go: reports, uploads, the demo."""
