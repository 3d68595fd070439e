"""The stages of a study, a room each, in the order the data passes them.

Rooms import downwards only: ``config``, ``records``, ``store`` and the rooms before them.
"""
