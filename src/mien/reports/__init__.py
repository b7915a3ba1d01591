"""The four questions people come with: how happy is this film, how was the meeting, what did the audience react to,
which are the best photos. Each report is a request in, a `Report` out, which is written as one page and its data.
"""
