"""The catalogue: a registry for each kind of implementation; entries declare location and capabilities.

Only the standard library is imported here, so that names, forms and capabilities can be read without the code.
"""
