"""The tables in README.md and docs/, made from the committed results so that prose cannot disagree.

A page marks where a table stands:

    <!-- table: verdicts -->
    <!-- end -->

`python -m reproduce.pages` (`make docs`) fills it; a test checks that every page has what would be
filled in now. To add a table, write a function of `Results` in the module of its page, and
register it. Nothing here imports TensorFlow.
"""
