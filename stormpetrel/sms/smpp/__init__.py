"""SMPP 3.4: PDUs, TLVs, delivery receipts, the text of a message, and the state of a link. It knows no socket."""
