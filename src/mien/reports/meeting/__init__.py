"""What showed on the faces in a meeting while somebody spoke?"""
