"""Which pictures of an album are the best?"""
