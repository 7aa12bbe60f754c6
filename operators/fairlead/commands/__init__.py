"""The command line, one module a group; ``fairlead.cli`` puts them together. Rooms are imported inside the functions."""
