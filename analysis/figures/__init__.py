"""Figures of a sweep, one module each: a function from its data to a list of `style.Plot`."""
