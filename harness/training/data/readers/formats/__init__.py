"""Kinds of files that several readers decode: images, tables of text, arrays of labels."""
