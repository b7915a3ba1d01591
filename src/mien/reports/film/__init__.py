"""How happy is a film, on the faces of its actors?"""
