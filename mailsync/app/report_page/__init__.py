"""The report a person keeps and shows: one HTML file that needs nothing else, with every text in it
escaped, and no script.
"""
