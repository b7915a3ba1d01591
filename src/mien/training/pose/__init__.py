"""The third head: where a face looks, and how open its eyes and mouth are, read from the layers of a finished model.

It learns from the labels that a face mesh gave to FER-2013's faces (`labels`), on layers of an exported model that stay
as they are (`trunk`), and is then written into that model's own file (`graft`), whose emotions stay the same to the
last bit. `python -m mien.training.pose` does all of it and says by `bars` how good the head is.
"""
