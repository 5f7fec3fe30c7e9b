"""Page on this machine in which points of any frame of a clip are corrected by hand.

`session` holds the tracks and their corrections, `pictures` reads frames in any order, `server` serves both.
"""
