"""Transactions: their records in the journal, and the messages that are owed because of them."""
