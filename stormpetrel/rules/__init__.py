"""The rules: who may do what, and what follows. Each takes a connection; api, web and sms call them."""
