"""The structure of generated C++, read back from its text: what each loop touches in each cycle, and what that allows."""
