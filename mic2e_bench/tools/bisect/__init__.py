"""`bisect`: slower after an update; which package, or which commit, did it?"""
