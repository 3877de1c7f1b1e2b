"""The schema: each option's name, type, range, default and meaning, one section a file. BasicSR is not needed here."""
