"""Logging in and out at a provider that gives out access tokens (OAuth 2.0), with the help of the
person whose mail it is.
"""
