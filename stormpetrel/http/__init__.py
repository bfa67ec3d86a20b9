"""What the doors share: routes, typed input, answers, and the application that puts them together."""
