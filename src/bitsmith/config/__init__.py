"""The user's configuration: dictionaries and YAML in the familiar shape -> typed settings, and the other way round.

In: untrusted dictionaries and files. Out: a network whose layers carry :class:`~bitsmith.layers.settings.Settings`. Whatever
is written takes effect, is refused with its key, or is listed in a note. Knows no file format of models and no backend.
"""
