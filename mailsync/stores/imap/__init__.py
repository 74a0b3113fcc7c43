"""IMAP4rev1 and rev2 over our own pipelined command queue."""
