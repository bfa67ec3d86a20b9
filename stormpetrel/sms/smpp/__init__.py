"""The SMPP 3.4 codec: PDUs, TLVs, delivery receipts and the text of a message. It knows no socket."""
