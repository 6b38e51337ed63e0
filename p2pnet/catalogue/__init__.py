"""What can be chosen by name: for each kind a registry of entries that say where the code is and what it can do.

Only the standard library is imported here, so that names, forms and capabilities can be read without the code.
"""
