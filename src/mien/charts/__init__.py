"""Colours, curves and bars that pictures, reports and dashboard share."""
