"""OAuth 2.0: what is configured of it, where tokens come from, and the file that keeps a login.

Nobody's client is shipped: whoever uses this registers one of their own, or has it from their
organisation.
"""
