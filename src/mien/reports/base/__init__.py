"""What every report is made of: recordings and lists in, intervals and pictures, one page out."""
