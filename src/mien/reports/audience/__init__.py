"""What did an audience react to, and how?"""
