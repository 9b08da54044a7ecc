"""Are tasks sound: do references pass, and do trivial programs fail?"""
